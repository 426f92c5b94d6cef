//! What is a card number and what only looks like one.

use crate::{Detectors, scan};

/// What is found in `text`, as text.
fn cards(text: &str) -> Vec<&str> {
    scan(text, &Detectors::default())
        .into_iter()
        .filter(|finding| finding.detector == "credit-card")
        .map(|finding| &text[finding.range])
        .collect()
}

#[test]
fn numbers_the_networks_publish_for_tests_are_found() {
    for number in [
        "4111111111111111",
        "4012888888881881",
        "4222222222222",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "371449635398431",
        "30569309025904",
        "38520000023237",
        "6011111111111117",
        "3530111333300000",
        "6200000000000005",
        "6759649826438453",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "3782 822463 10005",
        "3782 8224 6310 005",
        "3056 930902 5904",
        "4111\u{2011}1111\u{2011}1111\u{2011}1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
    ] {
        for text in [
            number.to_owned(),
            format!("card: {number}."),
            format!("x={number},y"),
            format!("\"{number}\""),
            format!("{{\\n{number}\\n}}"),
            format!("{number} 12/27 123"),
            format!("order 42 {number}"),
            format!("é{number}é"),
        ] {
            assert_eq!(cards(&text), [number], "{text}");
        }
    }
}

#[test]
fn numbers_of_other_ranges_are_found_where_a_word_announces_a_card() {
    for number in [
        "3598899323053410",
        "587428561654",
        "060426070011",
        "5899 1234 5678 9000",
        "4006381333023", // of Visa's range, but the number of an article too
    ] {
        for front in [
            "my card is ",
            "card_number=",
            "\"creditCard\": \"",
            "Visa: ",
        ] {
            let text = format!("{front}{number}, thanks");
            assert_eq!(cards(&text), [number], "{text}");
        }
        for front in [
            "order ",
            "postcard ",
            "SIM card ",
            "the ID card's number: ",
            "",
        ] {
            let text = format!("{front}{number}, thanks");
            assert_eq!(cards(&text), [] as [&str; 0], "{text}");
        }
    }
    for text in [
        "card 3598899323053411",    // check digit
        "card 0000000000000000",    // one digit
        "card 8944500612198503003", // SIM card
        "card 0.3598899323053410",
        "card 1748503543012",          // milliseconds
        "RS35 2600 0560 1001 6113 70", // the inside of an account number
        "card a3598899323053410",
    ] {
        assert_eq!(cards(text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn other_numbers_are_left_alone() {
    for text in [
        "4111111111111112",                         // check digit
        "1234567812345670",                         // issuer
        "0.4111111111111111",                       // decimal
        "3.4111111111111111",                       // decimal
        "4111111111111111.25",                      // decimal
        "41111111111111110000",                     // longer run
        "94111111111111111",                        // longer run
        "a4111111111111111",                        // hash
        "4111111111111111f",                        // hash
        "+4222222222222",                           // telephone
        "4111  1111 1111 1111",                     // two spaces
        "4111 1111-1111 1111",                      // mixed
        "41 11 11 11 11 11 11 11",                  // pairs
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",          // list
        "1763640391123456",                         // microseconds
        "1763640391123456789",                      // nanoseconds
        "018f4111-1111-4111-8111-111111111111",     // UUID
        "4111\n1111\n1111\n1111",                   // column
        "4111,1111,1111,1111",                      // list
        "da39a3ee5e6b4b0d3255bfef95601890afd80709", // SHA-1
    ] {
        assert_eq!(cards(text), [] as [&str; 0], "{text}");
    }
}

#[test]
fn the_longest_number_wins_and_a_following_group_does_not_hide_it() {
    assert_eq!(cards("4111 1111 1111 1111 123"), ["4111 1111 1111 1111"]);
    assert_eq!(
        cards("4111111111111111 5555555555554444"),
        ["4111111111111111", "5555555555554444"]
    );
    assert_eq!(
        cards("4111-1111-1111-1111-5555-5555-5555-4444"),
        ["4111-1111-1111-1111", "5555-5555-5555-4444"]
    );
}
