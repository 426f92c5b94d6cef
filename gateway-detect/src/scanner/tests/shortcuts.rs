//! The sieve against asking every detector about every place.

use super::{everywhere, scan};

/// Every form of the tables, at every distance from the beginning of a block and behind what may stand before it, is found where asking
/// everybody everywhere finds it.
#[test]
fn short_cuts_miss_nothing() {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut roll = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 16) as usize
    };
    let catalogue = &crate::catalogue::CATALOGUE;
    let word = |words: &[usize]| catalogue.words.word(words.first().copied()).unwrap_or("it");
    let befores = [
        "", " ", "a", "7", "_", "-", "/", ".", "(", "\"", "=\"", ": ", "=", "é", "\\n", "://u:",
    ];
    let mut texts = Vec::new();
    for form in &catalogue.secrets.forms {
        for _ in 0..4 {
            let key = form.pattern.sample(&mut roll);
            texts.push((format!("{} api key", word(&form.near)), key));
        }
    }
    for (index, row) in catalogue.people.rows.iter().enumerate() {
        for mask in catalogue.people.masks(index) {
            let mut one = |byte: &u8| match byte {
                b'd' => char::from(b'0' + (roll() % 10) as u8),
                b'A' => char::from(b'A' + (roll() % 26) as u8),
                b'X' => char::from(b"0123456789ABCDEF"[roll() % 16]),
                other => char::from(*other),
            };
            let number = mask.text.iter().map(&mut one).collect();
            texts.push((word(&row.words).to_owned(), number));
        }
    }
    for (name, value) in [
        ("", "2001:4860:1:2:3:4:5:6"),
        ("", "00:1b:44:11:3a:b7"),
        ("", "91.198.174.192"),
        ("phone", "(212) 555-0187"),
        ("phone", "+44 20 7946 0958"),
        ("", "DE89 3704 0044 0532 0130 00"),
        ("", "gb82west12345698765432"),
        ("", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ("password", "hunter2!x"),
        ("the password is", "hunter2!x"),
        ("--password", "hunter2!x"),
        ("Authorization: Bearer", "f3A9kLq0Zx7Tb2Wc5Ry8"),
        ("", "postgres://ada:hunter2x@db.example/x"),
        (
            "",
            "-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        ),
        ("", "QVdTIGtleSBBS0lBSU9TRk9ETk43RVhBTVBMRSBhbmQgbW9yZQ=="),
    ] {
        texts.push((name.to_owned(), value.to_owned()));
    }
    for (name, value) in texts {
        let before = befores[roll() % befores.len()];
        let text = format!(
            "{} {name}{before}{value} and so on",
            "x y".repeat(roll() % 40)
        );
        assert_eq!(scan(&text), everywhere(&text), "{text}");
        let text = format!("{}{name}: {value}", ".".repeat(roll() % 70));
        assert_eq!(scan(&text), everywhere(&text), "{text}");
    }
}
