//! Texts that a shell, or a database, reads otherwise than they look.

use super::*;

#[test]
fn a_program_is_named_wherever_a_shell_finds_it() {
    let missed: Vec<&str> = [
        // The body of a here-document has no comments and no single quotes.
        "cat <<cat\n# $(reboot)\ncat",
        "cat <<cat\ncat '$(reboot)'\ncat",
        "cat <<'cat'\ncat '\ncat\nreboot\ncat '",
        // A parenthesis that ends no substitution.
        "cat $(cat ')'; reboot)",
        "cat \"$(cat ')'; reboot)\"",
        "cat \"$(cat \\); reboot)\"",
        "cat \"$(case x in x) reboot;; esac)\"",
        "cat \"$(cat # )\nreboot)\"",
        "cat \"$(cat <<x\n)\nx\nreboot)\"",
        // Backquotes in backquotes.
        "cat `cat \\`reboot\\``",
        "cat \"`cat \\\"\\`reboot\\`\\\"`\"",
        // Quotes in an expansion in quotes, and a hash in an expansion.
        "cat \"${x:-\"'\"}\"; reboot; cat \"'\"",
        "cat ${x:- #};reboot",
        // What is no blank of a shell begins no comment.
        "cat x\u{c}#;reboot",
        "cat x\r#;reboot",
        "cat x\u{a0}#;reboot",
        // A command in an expansion, in ksh and bash.
        "cat ${ reboot;}",
        "cat \"${ reboot;}\"",
        "cat $(( $(reboot) ))",
    ]
    .into_iter()
    .filter(|text| {
        let arguments = serde_json::json!({ "command": text }).to_string();
        !found(&arguments, "programs")
            .split(' ')
            .any(|name| name == "reboot")
    })
    .collect();
    assert_eq!(missed, [""; 0]);
}

#[test]
fn what_expands_what_a_variable_holds_is_on_no_list() {
    // `@P` and arithmetic run what is only put together then.
    let text = "a='$';b='(';c=reboot;d=')';e=\"$a$b$c$d\";cat ";
    for word in [
        "\"${e@P}\"",
        "$((cat))",
        "$[cat]",
        "${!e}",
        "${a[e]}",
        "${a:e}",
        "${PATH:=.}",
        "<<x",
    ] {
        let programs = commanded(&format!("{text}{word}"));
        assert!(programs.starts_with("$ "), "{word}: {programs}");
    }
}

#[test]
fn a_list_of_words_may_be_put_together_for_a_shell() {
    for list in [
        &["cat", "x", ";", "reboot"][..],
        &["cat", "x;reboot"],
        &["cat", "x", "|", "reboot"],
        &["cat", "x", "|reboot"],
        &["cat", "$(reboot)"],
        &["cat", "<(reboot)"],
        &["cat", "`reboot`"],
        &["cat", "\nreboot"],
        &["cat", "x", "&&", "reboot"],
    ] {
        let arguments = serde_json::json!({ "command": list }).to_string();
        assert_eq!(found(&arguments, "programs"), "cat reboot", "{list:?}");
    }
}

#[test]
fn a_statement_of_several_lines_is_one() {
    for text in ["SELECT *\nFROM users", "SELECT a,\n  comment\nFROM t"] {
        let arguments = serde_json::json!({ "sql": text }).to_string();
        assert_eq!(found(&arguments, "statements"), "SELECT", "{text}");
    }
}

#[test]
fn a_statement_is_found_where_a_database_mixes_what_others_do() {
    for text in [
        // PostgreSQL: escapes in E'', and `#` is an operator.
        "SELECT 2 # length(E'\\''), 1 # 2; DELETE FROM users --'",
        // SQL Server: names in brackets, and comments nest.
        "SELECT a FROM #t WHERE [x'] /* ' /* */ ' */ = 1; DELETE FROM t -- '",
    ] {
        let arguments = serde_json::json!({ "sql": text }).to_string();
        assert!(found(&arguments, "statements").contains("DELETE"), "{text}");
    }
    let text = "SELECT 1\nGO 2\nsp_configure 'x', 1\nGO\n";
    let arguments = serde_json::json!({ "sql": text }).to_string();
    assert_ne!(found(&arguments, "statements"), "SELECT", "{text}");
}

#[test]
fn a_statement_is_found_whatever_a_database_or_its_client_takes_for_quotes_comments_and_batches() {
    for (text, verb) in [
        ("select E'\\'' , '\\' ; delete from t; --'", "DELETE"),
        ("select q'[']' from dual; delete from t; --'", "DELETE"),
        ("select r'\\' , 'a\\''; delete from t; -- '", "DELETE"),
        ("select '''a'b''' ; delete from t ; -- '", "DELETE"),
        ("select 1 // ' \n; delete from t; -- '", "DELETE"),
        ("/*! ' */ select 1; delete from t; -- '", "DELETE"),
        ("select ` ; delete from t; select `", "DELETE"),
        ("select [a]]'b] ; delete from t; -- '", "DELETE"),
        ("select 1 -- \r; delete from t", "?"),
        ("select '\nGO\ndelete from t\nGO\n'", "?"),
        ("select 1 from dual\n/\nhost rm x\n", "HOST"),
        ("SELECT 1\n!!rm x\nGO", "!"),
        ("SELECT 1\nGO 2\nsp_configure 'x', 1\nGO", "SP_CONFIGURE"),
        ("SELECT 1 KILL 53", "KILL"),
        ("select 1 DISABLE TRIGGER x ON y", "DISABLE"),
        ("select 1 from a; --x ; drop table y", "DROP"),
    ] {
        let arguments = serde_json::json!({ "sql": text }).to_string();
        let verbs = found(&arguments, "statements");
        assert!(
            verbs.split(' ').any(|found| found == verb),
            "{text}: {verbs}"
        );
    }
    // More ways than anybody mixes.
    let text = "select '\\'', \"\\\"\", $a$ # [\"], q'[', // --x\n 1";
    let arguments = serde_json::json!({ "sql": text }).to_string();
    assert!(found(&arguments, "statements").starts_with("? "));
}

#[test]
fn facts_are_read_in_time_that_grows_with_the_arguments() {
    let names: String = (0..4000).map(|place| format!("a{place};")).collect();
    let words = "\"b c\" ".repeat(4000);
    for text in [
        format!("{names} x {words}"),
        format!("{}*/", "/* ".repeat(40_000)),
        "/*".repeat(10_000),
        "${".repeat(10_000),
        "$(".repeat(10_000),
        "$((1 ".repeat(4_000),
        "`".repeat(10_001),
        "( ".repeat(10_000),
        format!("cat {}", "'a b' ".repeat(4_000)),
        " ".repeat(20_000),
        format!("select {}", "'\\'' \"\\\" # $a$ [\"] ".repeat(1_000)),
    ] {
        let call = ToolCall {
            name: "t".into(),
            arguments: serde_json::json!({ "q": text }).to_string(),
        };
        let begins: String = call.arguments.chars().take(24).collect();
        let start = std::time::Instant::now();
        let _ = facts(&call, &mut Facts::default());
        let took = start.elapsed();
        // Some tenths of a second; where it grew with the square, ten seconds and more.
        assert!(
            took < std::time::Duration::from_secs(8),
            "{begins}: {took:?}"
        );
    }
}
