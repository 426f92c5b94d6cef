//! The sieve against asking every detector about every place.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{cut, everywhere, expected, pieces, scan};
use crate::string_named;

/// Numbers that look drawn, from a seed that is not zero.
fn dice(mut seed: u64) -> impl FnMut() -> usize {
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 16) as usize
    }
}

/// A value of every form of the tables and of what has code of its own, with a word that announces it.
fn values(mut roll: impl FnMut() -> usize) -> Vec<(String, String)> {
    let catalogue = &crate::catalogue::CATALOGUE;
    let word = |words: &[usize]| catalogue.words.word(words.first().copied()).unwrap_or("it");
    let mut values = Vec::new();
    for form in &catalogue.secrets.forms {
        for _ in 0..4 {
            let key = form.pattern.sample(&mut roll);
            values.push((format!("{} api key", word(&form.near)), key));
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
            values.push((word(&row.words).to_owned(), number));
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
        values.push((name.to_owned(), value.to_owned()));
    }
    values
}

/// Every form of the tables, at every distance from the beginning of a block and behind what may stand before it, is found where asking
/// everybody everywhere finds it.
#[test]
fn short_cuts_miss_nothing() {
    let mut roll = dice(0x2545_F491_4F6C_DD1D);
    let befores = [
        "", " ", "a", "7", "_", "-", "/", ".", "(", "\"", "=\"", ": ", "=", "é", "\\n", "://u:",
    ];
    for (name, value) in values(&mut roll) {
        let before = befores[roll() % befores.len()];
        let text = format!(
            "{} {name}{before}{value} and so on",
            "x y".repeat(roll() % 40)
        );
        assert_eq!(scan(&text), everywhere(&text), "{text}");
        let text = format!("{}{name}: {value}", ".".repeat(roll() % 70));
        assert_eq!(scan(&text), everywhere(&text), "{text}");
        for joint in [" ", ": ", "="] {
            let text = format!("{name}{joint}{value} and so on");
            assert_eq!(pieces(cut(&text, &[1])), expected(&text), "{text}");
        }
    }
}

/// Everything that announces a value, at every distance from the beginning of a block.
#[test]
fn short_cuts_miss_nothing_that_is_announced() {
    for announced in [
        "put(\"db.password\", \"hunter2!x",
        "f('a b', 'x', ('password','hunter2!x",
        "NetworkCredential(\"ada@example\",\n \"hunter2!x",
        "IDENTIFIED BY 'hunter2!x",
        "user ada identified by 'hunter2!x",
        "SecureString \"hunter2!x",
        "password 'hunter2!x",
        "login ada password hunter2!x",
        " -Password hunter2!x",
        "sshpass -p hunter2!x",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Server=a;Pwd=hunter2!x",
        "value=\"hunter2!x",
        "<a key=\"Password\" value=\"hunter2!x",
        "token :::= \"q7Zk2mWv9Rt4Lx8Bn3Hc",
        "<Pass a=\"b\">hunter2!x</Pass",
        // Values so long that a window ends in them and begins in what announces them.
        "put(\"password\", \"q7!Zk2;mWv9*Rt4!Lx8*Bn3;Hcq7!Zk2*mWv9;Rt4!Lx8*Bn3Hcq7!Zk2",
        " --password \"q7!Zk2;mWv9*Rt4!Lx8*Bn3;Hcq7!Zk2*mWv9;Rt4!Lx8*Bn3Hcq7!Zk2",
        "the password is  \"q7!Zk2;mWv9*Rt4!Lx8*Bn3;Hcq7!Zk2*mWv9;Rt4!Lx8*Bn3Hcq7!Zk2",
    ] {
        for distance in 0..130 {
            let text = format!("{}{announced}\" and so on", "x ".repeat(distance / 2));
            let text = format!("{}{text}", &"y"[distance % 2..]);
            assert_eq!(scan(&text), everywhere(&text), "{text}");
            assert_eq!(pieces(cut(&text, &[1])), expected(&text), "{text}");
        }
    }
}

/// A text that is only a short word is not searched: nobody finds anything in one.
#[test]
fn short_cuts_miss_nothing_in_a_word() {
    let mut roll = dice(0x2545_F491_4F6C_DD1D);
    let words = &crate::catalogue::CATALOGUE.words;
    let all = (0..words.count()).filter_map(|number| words.word(Some(number)));
    let mut all: Vec<String> = all.map(|word| word.replace(' ', "_")).collect();
    for (_, value) in values(&mut roll) {
        let letters = value.to_ascii_lowercase();
        all.extend(
            letters
                .split(|letter: char| !letter.is_ascii_lowercase() && letter != '_')
                .map(str::to_owned),
        );
    }
    for word in all {
        let word = &word[..word.floor_char_boundary(11)];
        assert_eq!(everywhere(word), [], "{word}");
        for name in [
            "role", "x_pass", "password", "token", "phone", "db_pw", "email",
        ] {
            let named = string_named(name) + word;
            assert_eq!(scan(&named), everywhere(&named), "{named}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Values of every form beside each other: in pieces, as a whole, and with everybody asked everywhere the same is found.
    #[test]
    fn values_of_every_form_are_found_alike_in_pieces_and_whole(
        seed in 1..u64::MAX,
        count in 1_usize..8,
        sizes in prop::collection::vec(1_usize..20, 1..6),
    ) {
        let mut roll = dice(seed);
        static ALL: LazyLock<Vec<(String, String)>> =
            LazyLock::new(|| values(dice(0x9E37_79B9_7F4A_7C15)));
        let mut text = String::new();
        for _ in 0..count {
            let (name, value) = &ALL[roll() % ALL.len()];
            let value = &value[..value.len() - (roll() % 8 / 7).min(value.len())];
            for part in [
                [name, "key", ""][roll() % 3],
                [": ", "=\"", " is ", " ", "/"][roll() % 5],
                value,
                ["\" ", ", ", "\n", "", ".", "-", "\\n"][roll() % 7],
            ] {
                text.push_str(part);
            }
        }
        let expected = expected(&text);
        prop_assert_eq!(&pieces(cut(&text, &sizes)), &expected);
        prop_assert_eq!(&pieces(cut(&text, &[1])), &expected);
        prop_assert_eq!(scan(&text), everywhere(&text));
    }
}

/// Words and digits behind a number are none in small letters, however many places are asked.
#[test]
fn words_behind_a_number_are_no_number_in_small_letters() {
    for text in [
        "license plate Q-K 902\nabn is 85~930",
        "license plate JRI-D 617\nkey is 420~2946",
    ] {
        assert_eq!(scan(text), everywhere(text), "{text}");
    }
}
