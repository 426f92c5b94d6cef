//! Every row of the tables: what it describes is found, in a stream cut anywhere too, and what nearly is so is not.

mod disguise;
mod languages;
mod published;

use proptest::prelude::*;

use super::catalogue::CATALOGUE;
use super::people::ANY_SIGN;
use super::place::{Place, Verdict};
use super::proof::github_checksum;
use super::{Detector, Detectors, Piece, Scanner, built_in, scan};

/// Numbers that look drawn and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }
}

fn id(detector: Detector) -> &'static str {
    match detector {
        Detector::BuiltIn(at) => CATALOGUE.all[usize::from(at)].id,
        Detector::Custom(_) => "custom",
    }
}

pub(crate) fn found(text: &str) -> Vec<(String, String)> {
    let findings = scan(text, &Detectors::default()).into_iter();
    findings
        .map(|finding| (finding.detector.to_string(), text[finding.range].to_owned()))
        .collect()
}

/// The findings of a text that comes in two pieces, cut at every place.
pub(crate) fn is_found_however_cut(text: &str) {
    let detectors = Detectors::default();
    let expected = found(text);
    for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
        let (mut scanner, mut out) = (Scanner::new(), Vec::new());
        scanner.push(&text[..at], &detectors, &mut out);
        scanner.push(&text[at..], &detectors, &mut out);
        scanner.finish(&detectors, &mut out);
        let pieces: Vec<(String, String)> = out
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Found(finding, _) => {
                    Some((finding.detector.to_string(), text[finding.range].to_owned()))
                }
                Piece::Text(_) => None,
            })
            .collect();
        assert_eq!(pieces, expected, "{text} cut at {at}");
    }
}

#[test]
fn the_tables_are_read_whole() {
    assert_eq!(CATALOGUE.unread, [] as [&str; 0]);
    assert!(CATALOGUE.words.count() <= super::words::WORDS);
    let count = |class| {
        built_in()
            .iter()
            .filter(|known| known.class == class)
            .count()
    };
    assert!(count("secrets") >= 250, "{}", count("secrets"));
    assert!(count("pii") >= 45, "{}", count("pii"));
    for known in built_in() {
        assert!(
            !known.description.is_empty()
                && known
                    .id
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{known:?}"
        );
    }
}

#[test]
fn every_form_of_a_key_is_found_and_what_nearly_is_one_is_not() {
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let words: Vec<&str> = include_str!("secrets.txt").lines().collect();
    assert!(words.len() > 300);
    for form in &CATALOGUE.secrets.forms {
        let near = CATALOGUE.words.word(form.near.first().copied());
        let front = near.map_or("it is ".to_owned(), |near| format!("{near} api key: "));
        let mut tried = 0;
        let key = loop {
            let mut key = form.pattern.sample(|| dice.roll());
            // Its first part says something.
            if id(form.detector) == "jwt" {
                key.replace_range(..key.find('.').unwrap_or(0), "eyJhbGciOiJIUzI1NiJ9");
            }
            // Its last part checks the others.
            if ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"].contains(&&key[..4])
                && key.len() == 40
            {
                let check = github_checksum(&key.as_bytes()[4..34]);
                key.replace_range(34.., &String::from_utf8_lossy(&check));
            }
            let text = format!("{front}{key} ");
            if matches!(
                form.at(Place::new(text.as_bytes(), front.len(), true)),
                Verdict::Match(..)
            ) {
                break key;
            }
            tried += 1;
            assert!(tried < 2000, "{} {key}", id(form.detector));
        };
        let text = format!("{front}{key} is it");
        let all = found(&text);
        let this = all
            .iter()
            .find(|(_, value)| value.contains(&key) || key.contains(value.as_str()));
        assert!(
            this.is_some(),
            "{}: {text:?} has {all:?}",
            id(form.detector)
        );
        is_found_however_cut(&text);
        // Too short, in another word, and not announced.
        let short = &key[..key.len() - 1];
        let inside = format!("{front}zz0{key}zz0");
        let place = |text: &str, at| form.at(Place::new(text.as_bytes(), at, true));
        let cut = format!("{front}{short} ");
        if form.pattern.shortest() == key.len() && !form.pattern.ends_in_literal() {
            assert_eq!(place(&cut, front.len()), Verdict::No, "{cut}");
        }
        assert!(
            form.is_glued() || place(&inside, front.len() + 3) == Verdict::No,
            "{inside}"
        );
        if near.is_some() && form.pattern.literal().is_empty() {
            let alone = found(&format!("it is {key} "));
            assert!(
                alone.iter().all(|(other, _)| *other != id(form.detector)),
                "{alone:?}"
            );
        }
    }
}

#[test]
fn every_number_is_found_and_with_another_check_digit_it_is_not() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for (index, row) in CATALOGUE.people.rows.iter().enumerate() {
        for mask in CATALOGUE.people.masks(index) {
            let front = match mask.strong {
                true => "it is ".to_owned(),
                false => format!(
                    "my {}: ",
                    CATALOGUE
                        .words
                        .word(row.words.first().copied())
                        .unwrap_or_default()
                ),
            };
            let check = |written: &str| {
                let plain: Vec<u8> = written.bytes().filter(u8::is_ascii_alphanumeric).collect();
                row.accepts(written.as_bytes(), &plain)
            };
            let draw = |dice: &mut Dice| -> String {
                let sign = char::from(b" -./"[dice.roll() % 4]);
                let one = |&byte: &u8| match byte {
                    b'd' => char::from(b'0' + (dice.roll() % 10) as u8),
                    b'A' => char::from(b'A' + (dice.roll() % 26) as u8),
                    b'X' if dice.roll().is_multiple_of(3) => {
                        char::from(b'A' + (dice.roll() % 26) as u8)
                    }
                    b'X' => char::from(b'0' + (dice.roll() % 10) as u8),
                    ANY_SIGN => sign,
                    other => char::from(other),
                };
                mask.text.iter().map(one).collect()
            };
            let Some(number) = (0..3_000_000)
                .map(|_| draw(&mut dice))
                .find(|number| check(number))
            else {
                continue;
            };
            let text = format!("{front}{number} ok");
            let all = found(&text);
            assert!(
                all.iter().any(|(_, value)| value.contains(number.as_str())),
                "{}: {text:?} has {all:?}",
                id(row.detector)
            );
            is_found_however_cut(&text);
            for other in [
                format!("{front}{number}7"),
                format!("{front}9{number}"),
                format!("{front}Z{number}Q"),
            ] {
                let all = found(&other);
                assert!(
                    all.iter()
                        .all(|(name, value)| name != id(row.detector) || *value != number),
                    "{other:?} has {all:?}"
                );
            }
        }
    }
}

#[test]
fn bare_numbers_are_left_alone() {
    let mut dice = Dice(0xDEAD_BEEF_CAFE_F00D);
    for length in [4, 5, 6, 7, 8, 9, 10, 11, 12] {
        for _ in 0..2000 {
            let number: String = (0..length)
                .map(|_| char::from(b'0' + (dice.roll() % 10) as u8))
                .collect();
            let text = format!("see {number} there");
            assert_eq!(found(&text), [], "{text}");
        }
    }
}

#[test]
fn no_plain_digits_of_a_table_count_by_themselves() {
    for index in 0..CATALOGUE.people.rows.len() {
        for mask in CATALOGUE.people.masks(index) {
            let plain = mask.text.iter().all(|byte| *byte == b'd');
            assert!(!(plain && mask.strong), "{index}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bare_nine_digits_are_nobodys(
        number in 0_u32..1_000_000_000,
        other in 0_u32..1_000_000_000,
        before in prop::sample::select(vec![
            "", "order ", "id: ", "{\"total\": ", "(", "#", "x=", "[1, ", "commit ", "at offset=", "line ", "port ", "user_id,", "\"", "é",
            "In 2024 they sold ", "- ", "key=", "/items/", "?page=",
        ]),
        after in prop::sample::select(vec![
            "", ",", ".", ")", "]", "\n", " items", "\"", "}", "; ", " (of ", "/edit", "&x=1", "é", " office chairs",
        ]),
    ) {
        let text = format!("{before}{number:09}{after}");
        prop_assert_eq!(found(&text), []);
        let text = format!("{before}{number:09}{after} {other:09}");
        prop_assert_eq!(found(&text), []);
    }
}
