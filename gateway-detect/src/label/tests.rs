//! Short numbers and written dates behind their labels.

use crate::tests::{found, is_found_however_cut};

#[test]
fn a_label_tells_short_numbers_and_written_dates() {
    for (text, value, detector) in [
        ("CVV: 123", "123", "card-security-code"),
        ("{\"cvv\": \"4821\"}", "4821", "card-security-code"),
        ("card_cvv=123&x=1", "123", "card-security-code"),
        ("**CVC**: 321.", "321", "card-security-code"),
        ("my PIN is 4821, thanks", "4821", "pin"),
        ("\"pin\": 482193,", "482193", "pin"),
        ("DOB: June 20, 1948", "June 20, 1948", "date-of-birth"),
        (
            "date_of_birth=20 Jun 1948 x",
            "20 Jun 1948",
            "date-of-birth",
        ),
        (
            "\"birthdate\": \"Sept. 3rd 1990\"",
            "Sept. 3rd 1990",
            "date-of-birth",
        ),
        (
            "Geburtsdatum: 20. Juni 1948",
            "20. Juni 1948",
            "date-of-birth",
        ),
        (
            "Fecha de nacimiento: 20 de junio de 1948.",
            "20 de junio de 1948",
            "date-of-birth",
        ),
        (
            "Date de naissance: 1er août 1990",
            "1er août 1990",
            "date-of-birth",
        ),
        (
            "My birthday is March 4, 1985!",
            "March 4, 1985",
            "date-of-birth",
        ),
    ] {
        let expected = [(detector.to_owned(), value.to_owned())];
        assert_eq!(found(text), expected, "{text}");
        is_found_however_cut(text);
    }
    for text in [
        "CVV: 12",
        "CVV: 12345",
        "cvv: 123.45",
        "cvv_length: 123",
        "pin: 13",
        "GPIO pin is 4 of 8",
        "spin: 4821",
        "PIN: 4821-77",
        "updated: June 20, 1948",
        "DOB: June",
        "DOB: May be 1948",
        "DOB: June 40, 1948",
        "DOB: June 20, 948",
        "the date of birth June 20",
    ] {
        assert_eq!(found(text), [], "{text}");
        is_found_however_cut(text);
    }
}
