//! What is taken for a surrogate, however it is written, and how long that takes.

use super::*;

#[test]
fn a_number_is_known_in_any_groups_and_an_unknown_one_is_refused() {
    let surrogates = surrogates();
    let out = masked(
        "card 4111111111111111",
        Shape::Text,
        &set(Style::Surrogate, &surrogates),
    );
    let number = &out["card ".len()..];
    let grouped: Vec<&str> = (0..4).map(|at| &number[at * 4..at * 4 + 4]).collect();
    for separator in [" ", "-"] {
        let text = format!("to {}, please", grouped.join(separator));
        let real = ["4111", "1111", "1111", "1111"].join(separator);
        let back = restored(&surrogates, &text, Written::Text).unwrap();
        assert_eq!(back, format!("to {real}, please"));
    }
    // Digits behind it may make another sound number: what is known counts.
    for behind in 0..1000 {
        let text = format!(
            "{} {behind}, {} {behind:03}-2",
            grouped.join(" "),
            grouped.join("-")
        );
        let back = restored(&surrogates, &text, Written::Text).unwrap();
        let real = "4111 1111 1111 1111";
        let dashed = real.replace(' ', "-");
        assert_eq!(back, format!("{real} {behind}, {dashed} {behind:03}-2"));
    }
    let strange = Surrogates::new(b"another");
    let account = masked(
        "iban DE89370400440532013000",
        Shape::Text,
        &set(Style::Surrogate, &surrogates),
    );
    for unknown in [
        number.to_owned(),
        grouped.join(" "),
        "+9991234567890".to_owned(),
        account["iban ".len()..].to_owned(),
    ] {
        assert!(
            restored(&strange, &unknown, Written::Text).is_err(),
            "{unknown}"
        );
    }
    // What others have as well, and what only begins so.
    for other in [
        "912-34-5678",
        "241.3.4.5",
        "+99912345678901",
        "9999",
        "9999 1111 2222 3333",
        "XX00370400440532013000",
        "surrogate-based-optimization",
        "order x9999271180416627",
    ] {
        assert_eq!(restored(&strange, other, Written::Text).unwrap(), other);
    }
}

#[test]
fn a_long_text_of_marks_is_read_once() {
    let surrogates = surrogates();
    let finding = detect::scan("bob@corp.com", &Detectors::default()).remove(0);
    let known = surrogates.mint(&finding, "bob@corp.com").unwrap();
    // Each of these would take minutes if every mark looked at the rest.
    for text in [
        "surrogate-".repeat(200_000),
        "9999 ".repeat(200_000),
        "xx99".repeat(200_000),
        "+999".repeat(200_000),
        "2001:db8:".repeat(200_000),
        "@surrogate.example".repeat(50_000),
        format!("{known} ").repeat(50_000),
    ] {
        drop(restored(&surrogates, &text, Written::Text));
    }
}
