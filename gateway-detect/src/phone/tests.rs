//! What is a telephone number and what only looks like one.

use crate::tests::{found, is_found_however_cut};

/// What is found in `text` as a telephone number.
fn numbers(text: &str) -> Vec<String> {
    let all = found(text).into_iter();
    let phones = all.filter(|(id, _)| id == "phone-number");
    phones.map(|(_, value)| value).collect()
}

#[test]
fn numbers_that_are_written_as_such_need_no_word() {
    for number in [
        "+44 20 7946 0958",
        "+1-212-555-0187",
        "(415) 555-2671",
        "415-555-2671",
        "415.555.2671",
        "1-415-555-2671",
        "(020) 7946 0958",
        "020 7946 0958",
        "07700 900 123",
        "0470 12 34 56",
        "044 668 18 00",
        "0049 30 901820",
        "415-555-2671x123",
        "(415) 555-2671 ext. 4021",
        "+49 30 901820 x77",
    ] {
        for text in [
            format!("it is {number} now"),
            format!("{number}, or not"),
            number.to_owned(),
        ] {
            assert_eq!(numbers(&text), [number], "{text}");
            is_found_however_cut(&text);
        }
    }
}

#[test]
fn other_forms_need_a_word_before_or_behind_them() {
    for number in [
        "78 651 450",
        "71-33-52-22",
        "0961-7596216",
        "655 437 108",
        "3660170548",
        "+1-984-182-0190", // no exchange begins so
    ] {
        for text in [
            format!("phone: {number}, thanks"),
            format!("They are not answering at {number}."),
            format!("{number} office"),
            format!("{number}-Fax"),
            format!("{number} (home)"),
            format!("{number} mobile\n"),
        ] {
            assert_eq!(numbers(&text), [number], "{text}");
            is_found_however_cut(&text);
        }
        for text in [
            format!("see {number} there"),
            format!("{number} office chairs were sold"),
            format!("{number} mobiles"),
            format!("{number} -- fax"),
            format!("{number} of"),
        ] {
            assert_eq!(numbers(&text), [] as [&str; 0], "{text}");
            is_found_however_cut(&text);
        }
    }
}

#[test]
fn other_numbers_are_left_alone() {
    for text in [
        "1763640391 office hours",
        "012 345 671 000 012 345",
        "NL91 ABNA 0417 1643 001",
        "000 123 4567",
        "0644 12 12 12 12",
        "12 0644 12 12 12",
        "046 454 286",
        "1 234 567 mobile users",
        "2024-01-31 office",
        "phone: 555-1234567890123456",
        "phone: 415-555-2671x0135abc",
        "call 1024x768",
    ] {
        assert_eq!(numbers(text), [] as [&str; 0], "{text}");
        is_found_however_cut(text);
    }
}

#[test]
fn what_is_measured_is_no_number() {
    for text in [
        "Phone battery 4500-5000 mAh",
        "Mobile 1024-1280 px",
        "mobile 5G 3500-3700 MHz",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
    for text in [
        "Phone 4500-5000",
        "Mobile 4500-5000 please",
        "Phone: 4500-5000 m",
    ] {
        assert_eq!(numbers(text), ["4500-5000"], "{text}");
        is_found_however_cut(text);
    }
}
