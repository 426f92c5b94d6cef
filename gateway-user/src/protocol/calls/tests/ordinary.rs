//! What agents write every day, whose facts are exact: nothing is in them that would not be run.

use super::*;

#[test]
fn programs_of_ordinary_commands_are_exact() {
    for (command, programs) in COMMANDS {
        assert_eq!(commanded(command), *programs, "{command}");
    }
    // A list that is run as it is.
    for (list, programs) in [
        (&["grep", "a|b", "f"][..], "grep"),
        (&["rg", "foo(bar)", "src"], "rg"),
        (&["ls", "a b"], "ls"),
        (&["find", ".", "-exec", "rm", "{}", ";"], "find rm"),
    ] {
        let arguments = serde_json::json!({ "command": list }).to_string();
        assert_eq!(found(&arguments, "programs"), programs, "{list:?}");
    }
}

#[test]
fn statements_of_ordinary_queries_are_exact() {
    for (query, statements) in QUERIES {
        let arguments = serde_json::json!({ "sql": query }).to_string();
        assert_eq!(found(&arguments, "statements"), *statements, "{query}");
    }
}

const COMMANDS: &[(&str, &str)] = &[
    ("ls -la", "ls"),
    ("ls -la /tmp && cat README.md", "cat ls"),
    ("cd src && ls -l | head -3", "cd head ls"),
    ("cat a.txt b.txt | wc -l", "cat wc"),
    ("grep -rn 'fn main' src | head -20", "grep head"),
    (
        "grep -rn \"TODO: fix (later)\" src/ | cut -d: -f1,2",
        "cut grep",
    ),
    ("grep -E '^(foo|bar)$' file.txt", "grep"),
    ("grep -n \"it's\" notes.md", "grep"),
    ("grep -c 'a;b|c' x.csv; wc -l x.csv", "grep wc"),
    ("cat 'a file.txt' \"another file.txt\"", "cat"),
    ("cat a\\ file.txt", "cat"),
    ("ls *.rs # all of them", "ls"),
    ("# first look\nls -l\n# then count\nwc -l *.rs", "ls wc"),
    ("ls -l \\\n  src \\\n  tests", "ls"),
    ("head -n 5 \"$HOME/.profile\"", "head"),
    (
        "cat ${HOME}/x \"${f%.txt}.md\" ${x:-default} \"${dir##*/}\"",
        "cat",
    ),
    ("head -$((2+3)) file", "head"),
    ("cat \"$(ls | head -1)\"", "cat head ls"),
    ("cat $(grep -l \"foo bar\" *.txt)", "cat grep"),
    ("wc -l $(cat files.txt | cut -d' ' -f2)", "cat cut wc"),
    ("cat `ls | head -1`", "cat head ls"),
    ("cat \"$(grep -l 'x)' *.txt | head -1)\"", "cat grep head"),
    ("ls 2>/dev/null || cat x 2>&1", "cat ls"),
    ("grep -v \"^#\" /etc/hosts", "grep"),
    ("grep -- -x file", "grep"),
    ("cat <<< \"hello world\"", "cat"),
    ("cut -d'\"' -f2 file", "cut"),
    ("tail -f log | grep --line-buffered \"ERROR\" ", "grep tail"),
    ("FOO=1 ls", "ls"),
    ("grep 'price: $5' x", "grep"),
    ("cat \"a $x b\" && ls \"$y\"", "cat ls"),
    ("if grep -q x f; then cat f; else ls; fi", "cat grep ls"),
    ("for f in *.txt; do wc -l \"$f\"; done", "wc"),
    ("while cat x; do ls; done", "cat ls"),
    ("(cd a && ls); ls", "cd ls"),
    ("{ ls; cat x; }", "cat ls"),
    ("ls; pwd", "ls pwd"),
    ("grep -A3 -B3 -i 'select \\* from' *.sql", "grep"),
    ("grep \"a\\\"b\" f", "grep"),
    ("cat a#b c#", "cat"),
    ("grep -o '\"name\": *\"[^\"]*\"' package.json", "grep"),
];

const QUERIES: &[(&str, &str)] = &[
    ("SELECT *\nFROM users", "SELECT"),
    ("SELECT a,\n  comment\nFROM t", "SELECT"),
    ("SELECT * FROM users WHERE id = 1", "SELECT"),
    (
        "select name, email from users where name = 'O''Brien'",
        "SELECT",
    ),
    (
        "select name from users where name = 'O\\'Brien' limit 10",
        "SELECT",
    ),
    (
        "SELECT u.id,\n       u.name,\n       count(*) AS orders\nFROM users u\nJOIN orders o ON o.user_id = u.id\nLEFT JOIN items i ON i.order_id = o.id\nWHERE u.created_at > '2024-01-01'\nGROUP BY u.id, u.name\nHAVING count(*) > 3\nORDER BY orders DESC\nLIMIT 10;",
        "SELECT",
    ),
    (
        "WITH recent AS (\n  SELECT * FROM orders WHERE created_at > now() - interval '7 days'\n)\nSELECT user_id, sum(total)\nFROM recent\nGROUP BY user_id",
        "SELECT WITH",
    ),
    (
        "-- top users\nSELECT name FROM users -- the names\nWHERE active",
        "SELECT",
    ),
    ("--top users\nSELECT name FROM users", "SELECT"),
    ("/* all\n   of them */\nSELECT 1", "SELECT"),
    ("/* a */ SELECT 1 /* b */", "SELECT"),
    ("# all\nSELECT 1", "SELECT"),
    (
        "SELECT max(start), min(comment), coalesce(load, 0) FROM t",
        "SELECT",
    ),
    ("SELECT\n  start,\n  show,\n  \"table\"\nFROM t", "SELECT"),
    (
        "SELECT data->>'name' AS name, data #>> '{a,b}' FROM docs",
        "SELECT",
    ),
    (
        "SELECT arr[1], ARRAY['a','b'] FROM t WHERE x = ANY($1) AND y = $2",
        "SELECT",
    ),
    ("SELECT [Order Date], [Total] FROM [dbo].[Orders]", "SELECT"),
    (
        "SELECT `order`, `key` FROM `db`.`t` WHERE `x` = \"a;b\"",
        "SELECT",
    ),
    ("SELECT TOP 10 * FROM #temp", "SELECT"),
    (
        "SELECT EXTRACT(YEAR FROM d), TRIM(BOTH FROM x) FROM t",
        "SELECT",
    ),
    (
        "SELECT CASE WHEN a > 1 THEN 'big' ELSE 'small' END\nFROM t",
        "SELECT",
    ),
    ("SELECT * FROM a\nUNION ALL\nSELECT * FROM b", "SELECT"),
    ("SELECT x FROM t WHERE y IN (SELECT y FROM u)", "SELECT"),
    ("SELECT x FROM (VALUES (1), (2)) AS v(x)", "SELECT"),
    ("SHOW TABLES", "SHOW"),
    ("DESCRIBE users", "DESCRIBE"),
    ("EXPLAIN SELECT * FROM t", "EXPLAIN SELECT"),
    (
        "EXPLAIN (ANALYZE, BUFFERS)\nSELECT * FROM t",
        "EXPLAIN SELECT",
    ),
    (
        "SELECT url FROM pages WHERE url LIKE 'https://example.com/%'",
        "SELECT",
    ),
    ("SELECT * FROM t WHERE name LIKE '%\\_x%'", "SELECT"),
    ("SELECT * FROM t WHERE path = 'C:\\\\dir\\\\'", "SELECT"),
    ("SELECT a -1, b--1\nFROM t", "SELECT"),
    ("SELECT 'drop' AS x, 'a;b' AS y", "SELECT"),
    (
        "SELECT\n  IF(a, 1, 2),\n  REPLACE(b, 'x', 'y')\nFROM t",
        "SELECT",
    ),
    (
        "SELECT * FROM t WHERE d BETWEEN '2024-01-01'\nAND '2024-12-31';",
        "SELECT",
    ),
    ("SELECT 1;\nSELECT 2;\n", "SELECT"),
    ("SELECT a\r\nFROM t\r\nWHERE b = 1\r\n", "SELECT"),
    ("SELECT concat('''', name, '''') FROM t", "SELECT"),
    (
        "SELECT sum(x) OVER (PARTITION BY y ORDER BY z ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT",
    ),
    (
        "SELECT * FROM t WHERE a = 'it''s; -- not a comment' AND b = 2",
        "SELECT",
    ),
];
