//! Facts of arguments that are written to be read differently: every reading is in them.

use super::*;

#[test]
fn hosts_are_those_of_every_url() {
    for (text, hosts) in [
        (
            "get https://Example.COM:8443/a?b and http://other.org.",
            "example.com other.org",
        ),
        ("https://good.com@evil.com/", "evil.com"),
        ("https://evil.com\\@good.com/", "evil.com good.com"),
        ("(http://[::1]:80/x)", "::1"),
        ("postgres://u:p@db.internal:5432/x", "db.internal"),
        (
            "https://docs.example.com/a, see c.d@e.f.",
            "docs.example.com",
        ),
        ("[\"https://a.com/x\",\"https://b.com\"]", "a.com b.com"),
        ("src/main.rs and/or ./a.b/c", ""),
        ("no url", ""),
    ] {
        let arguments = serde_json::json!({ "q": text }).to_string();
        assert_eq!(found(&arguments, "hosts"), hosts, "{text}");
    }
}

/// Hosts of a text, by the key that holds it.
fn hosts_of(key: &str, text: &str) -> Vec<String> {
    let arguments = serde_json::json!({ key: text }).to_string();
    let hosts = found(&arguments, "hosts");
    hosts.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_host_is_named_however_clients_find_it() {
    for separator in [",", ";", "'", ")", "|", " ", "\t", "\"", "\\", ",x@"] {
        for end in ["@evil.net/x", ".evil.net/x"] {
            // No client takes a space for a part of a name.
            if (separator, end) == (" ", ".evil.net/x") {
                continue;
            }
            let hosts = hosts_of("q", &format!("https://docs.example.com{separator}{end}"));
            assert!(hosts != ["docs.example.com"], "{separator}{end}: {hosts:?}");
            if end.starts_with('@') {
                assert!(
                    hosts.contains(&"evil.net".to_owned()),
                    "{separator}: {hosts:?}"
                );
            }
        }
    }
    for text in [
        "https:evil.net/x",
        "https:/evil.net/x",
        "HTTPS:///evil.net/x",
        "http:\\\\evil.net\\x",
        "//evil.net/x",
        "\\\\evil.net\\x",
        "evil.net/x",
        "u:p@evil.net:80/x",
        "ht\ntps://evil.net/x",
        "curl evil.net",
        "curl -s -o x evil.net",
        "sudo wget -q evil.net",
        "curl 'http://evi''l.net'",
        "curl ht\"\"tp://evil.net",
        "curl $(echo https:evil.net)",
        "--url=evil.net/x",
    ] {
        let hosts = hosts_of("q", text);
        assert!(hosts.contains(&"evil.net".to_owned()), "{text}: {hosts:?}");
    }
    assert_eq!(
        hosts_of("command", "curl -X POST -d a=b https://a.com/"),
        ["a.com"]
    );
    assert!(hosts_of("c", "curl evil").contains(&"evil".to_owned()));
    // What is to be a place is named as one, whatever it looks like.
    for (url, host) in [
        ("evil", "evil"),
        ("evil/x", "evil"),
        ("evil:8080", "evil"),
        ("evil.net", "evil.net"),
        ("file:///etc/passwd", "etc"),
        ("", "?"),
        ("https://", "?"),
        ("u@evil/", "evil"),
    ] {
        assert_eq!(hosts_of("url", url), [host], "{url}");
        assert!(hosts_of("baseUrl", url).contains(&host.to_owned()));
    }
    assert_eq!(
        hosts_of("url", "https://docs.example.com:443/a?b=c@d"),
        ["docs.example.com"]
    );
}

#[test]
fn statements_are_those_a_database_would_run() {
    for (text, verbs) in [
        ("select * from t where a = 'drop'", "SELECT"),
        ("-- drop\n/* delete */ SELECT 1", "SELECT"),
        ("select 1; DROP TABLE x", "DROP SELECT"),
        (
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
            "DELETE SELECT WITH",
        ),
        ("explain analyze update t set a = 1", "EXPLAIN UPDATE"),
        ("/*!50000 DROP TABLE x */", "? DROP"),
        ("select replace(a, 'b', 'c') from t", "SELECT"),
        ("psql -c \"TRUNCATE t\"", "PSQL TRUNCATE"),
        ("echo 'DELETE FROM t' | psql", "DELETE ECHO"),
        ("psql <<X\nDROP TABLE t;\nX", "DROP PSQL X"),
        ("the best of all", "THE"),
        ("we select nothing", "WE"),
    ] {
        let arguments = serde_json::json!({ "q": text }).to_string();
        assert_eq!(found(&arguments, "statements"), verbs, "{text}");
    }
}

#[test]
fn statements_that_nobody_listed_are_named() {
    for (text, verb) in [
        ("IF 1=1 DELETE FROM x", "DELETE"),
        ("IF 1=1 DELETE FROM x", "IF"),
        ("sp_executesql N'DROP TABLE x'", "SP_EXECUTESQL"),
        ("xp_cmdshell 'x'", "XP_CMDSHELL"),
        ("BULK INSERT x FROM 'y'", "BULK"),
        ("PURGE BINARY LOGS", "PURGE"),
        ("flush", "FLUSH"),
        ("HANDLER x OPEN", "HANDLER"),
        ("REASSIGN OWNED BY a TO b", "REASSIGN"),
        ("DISCARD ALL", "DISCARD"),
        ("select 1; CHECKPOINT", "CHECKPOINT"),
        ("NOTIFY x", "NOTIFY"),
        ("INSTALL x", "INSTALL"),
        ("FROM x INSERT OVERWRITE TABLE y SELECT 1", "OVERWRITE"),
        ("MATCH (n) DETACH DELETE n", "DELETE"),
        ("db.x.drop()", "DB"),
        ("SELECT * INTO y FROM x", "INTO"),
        ("SELECT 1 INTO OUTFILE '/x'", "OUTFILE"),
        ("select 1\nGO\nxp_cmdshell 'x'", "XP_CMDSHELL"),
        ("select 1 shutdown", "SHUTDOWN"),
        ("{\"delete\": \"x\"}", "{"),
        ("select 1 \\! rm x", "\\"),
        ("/*M! DROP TABLE x */", "DROP"),
        ("(frob x)", "FROB"),
        ("/* a */ -- b\nfrob x", "FROB"),
        // What one database takes for a quote or a comment another runs.
        ("select '\\'', 1 ; drop table x; -- '", "DROP"),
        ("select '\\'; drop table x; -- '", "DROP"),
        ("select 1 # it's\n; drop table x; # '", "DROP"),
        ("select 1--1; drop table x", "DROP"),
        ("select $$'$$; drop table x; --'", "DROP"),
        ("select $a$'$a$; drop table x; --'", "DROP"),
        ("select [a'b] from c; drop table x; --'", "DROP"),
        ("/* /* */ ' */; drop table x; --'", "DROP"),
    ] {
        let arguments =
            serde_json::json!({ "q": text, "database": "main", "limit": "10" }).to_string();
        let verbs = found(&arguments, "statements");
        assert!(
            verbs.split(' ').any(|found| found == verb),
            "{text}: {verbs}"
        );
        assert!(!verbs.contains("MAIN"), "{verbs}");
    }
    for text in [
        "select 'it''s of Alice Smith' from t where a = $1",
        "select \"a;b\", `c` from [d] -- e",
        "WITH a AS (SELECT 1)\nSELECT * FROM a;\n",
    ] {
        let arguments = serde_json::json!({ "q": text }).to_string();
        let verbs = found(&arguments, "statements");
        assert!(
            verbs
                .split(' ')
                .all(|verb| ["SELECT", "WITH"].contains(&verb)),
            "{text}: {verbs}"
        );
    }
}

#[test]
fn programs_are_named_whatever_hides_them() {
    for (command, name) in [
        ("function ls { touch b; }; ls", "touch"),
        ("function ls { touch b; }; ls", "function"),
        ("ls() { rm x; }; ls", "function"),
        ("ls () { rm x; }", "rm"),
        ("alias ls='rm x'; ls", "alias"),
        ("coproc ls { rm x; }", "rm"),
        ("ls $'\\'';rm x;'", "rm"),
        ("ls $'\\';rm x;#'", "rm"),
        ("$'\\x72\\155' x", "rm"),
        ("$'\\u0072m' x", "rm"),
        ("$\"rm\" x", "rm"),
        ("time -p rm x", "rm"),
        ("time -- rm x", "rm"),
        ("a[1]=2 rm x", "rm"),
        ("a+=2 rm x", "rm"),
        ("{rm,-rf,/}", "rm"),
        ("{rm,-rf,/}", "{rm,-rf,/}"),
        ("l{s,x}", "l{s,x}"),
        ("./ls", "./ls"),
        ("/tmp/ls", "/tmp/ls"),
        ("/bin/../tmp/ls", "/bin/../tmp/ls"),
        ("sudo ./ls", "./ls"),
        ("PATH=.:$PATH ls", "PATH="),
        ("PATH+=:. ls", "PATH="),
        ("export PATH=.; ls", "PATH="),
        ("LD_PRELOAD=./x.so ls", "LD_PRELOAD="),
        ("env LD_AUDIT=x ls", "LD_AUDIT="),
        ("BASH_ENV=x; ls", "BASH_ENV="),
        ("ENV=x ls", "ENV="),
        ("IFS=x; ls", "IFS="),
        ("PROMPT_COMMAND=x", "PROMPT_COMMAND="),
        ("BASH_ALIASES[ls]=rm", "BASH_ALIASES="),
        ("for PATH in .; do ls; done", "PATH="),
        ("ls $((PATH=0)); ls", "PATH="),
        ("cat x | read PATH", "PATH="),
    ] {
        let programs = commanded(command);
        assert!(
            programs.split(' ').any(|found| found == name),
            "{command}: {programs}"
        );
    }
    for command in [
        "/bin/ls -l",
        "/usr/bin/ls {a,b}",
        "A=1 ls",
        "ls PATH=x",
        "time -p ls",
        "ls $'a\\n'",
    ] {
        assert_eq!(commanded(command), "ls", "{command}");
    }
}
