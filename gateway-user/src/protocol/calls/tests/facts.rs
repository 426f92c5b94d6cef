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
        let arguments = serde_json::json!({ "url": text }).to_string();
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
