//! Addresses, and what only looks like one.

use crate::{Detectors, scan};

fn addresses(text: &str) -> Vec<&str> {
    scan(text, &Detectors::default())
        .into_iter()
        .filter(|finding| finding.detector == "email")
        .map(|finding| &text[finding.range])
        .collect()
}

#[test]
fn addresses_are_found_whatever_stands_around_them() {
    for address in [
        "ada@example.com",
        "ada.lovelace+tag@mail.example.co.uk",
        "a@b.io",
        "x_1%2@163.com",
        "ADA@EXAMPLE.COM",
        "ada@xn--bcher-kva.example",
        "ada@example.xn--p1ai",
        "1234@example.museum",
    ] {
        for text in [
            address.to_owned(),
            format!("<{address}>"),
            format!("mailto:{address}?subject=x"),
            format!("to {address}."),
            format!("to {address}, now"),
            format!("b'{address}'"),
            format!("{{\\n{address}\\n}}"),
            format!("{{\"to\":\"{address}\"}}"),
            format!("\\u0022{address}\\u0022"),
            format!("é{address}é"),
            format!("..{address}"),
            format!("{address}:secret"),
        ] {
            assert_eq!(addresses(&text), [address], "{text}");
        }
    }
    assert_eq!(addresses("ada@example.com_old"), ["ada@example.com"]);
    assert_eq!(addresses("ada@example.com-old"), ["ada@example.com"]);
    assert_eq!(
        addresses("a@b.io,c@d.io;e@f.io"),
        ["a@b.io", "c@d.io", "e@f.io"]
    );
}

#[test]
fn domains_may_be_in_other_letters() {
    for (text, address) in [
        ("write to ada@müller-bau.de, please", "ada@müller-bau.de"),
        ("ada@почта.рф", "ada@почта.рф"),
        ("адрес ada@mail.пример.рф.", "ada@mail.пример.рф"),
        ("邮箱ada@例子.中国谢谢", "ada@例子.中国"),
        ("请联系ada@example.com谢谢", "ada@example.com"),
        (
            "请联系ada@example.com。见www.example.net",
            "ada@example.com",
        ),
        ("ada@bücher.example.org", "ada@bücher.example.org"),
    ] {
        assert_eq!(addresses(text), [address], "{text}");
        crate::tests::is_found_however_cut(text);
    }
    for text in ["转@李四.你好", "x@é.y", "см. раздел@глава.рука"] {
        assert_eq!(addresses(text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn under_an_unknown_top_level_domain_an_address_needs_a_word() {
    for text in [
        "carried via@agent.tool, and",
        "pass the@agent.instructions\\nargument",
        "x@module.attribute",
        "by@app.route",
    ] {
        assert_eq!(addresses(text), [] as [&str; 0], "{text}");
    }
    for text in [
        "mail ada@wiki.acme",
        "\"user_email\": \"ada@wiki.acme\"",
        "Ada <ada@wiki.acme>",
        "mailto:ada@wiki.acme",
    ] {
        assert_eq!(addresses(text), ["ada@wiki.acme"], "{text}");
    }
    assert_eq!(addresses("ada@hangar.example.acme"), ["ada@hangar.example"]);
    assert_eq!(
        addresses("ada@example.Gmbh, ada@nas.lan"),
        ["ada@example.Gmbh", "ada@nas.lan"]
    );
}

#[test]
fn what_only_looks_like_an_address_is_left_alone() {
    for text in [
        "git@github.com:owner/name.git",
        "icon@2x.png",
        "getty@tty1.service",
        "user@1000.service",
        "react@18.2.0",
        "pkg@1.0.0-rc.one",
        "@types/node@20",
        "root@localhost",
        "a@b.c",
        "a@-b.com",
        "a@.com",
        "a@b..com",
        "a @b.com",
        "@b.com",
        "10.0.0.1@10.0.0.2",
        "x@y",
        "sum(a@b)",
    ] {
        assert_eq!(addresses(text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn lengths_are_bounded() {
    let local = "a".repeat(64);
    let text = format!("{local}@example.com");
    assert_eq!(addresses(&text), [text.as_str()]);
    // A longer run still does not carry its address past the mask.
    assert_eq!(addresses(&format!("bb{text}")), [text.as_str()]);
    let domain = format!("{}com", "abcdefghi.".repeat(25));
    assert_eq!(domain.len(), 253);
    assert_eq!(addresses(&format!("a@{domain}")), [format!("a@{domain}")]);
    assert_eq!(
        addresses(&format!("a@{}.com", "b".repeat(64))),
        [] as [&str; 0]
    );
}
