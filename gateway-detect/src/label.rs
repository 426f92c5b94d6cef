//! Values that only the label right before them tells: the security code of a card, a PIN, and a date of birth with the name of its month.
//!
//! In: a place behind `:`, `=` or `is`. Out: whether the label there is that of such a value, and the value one. Three digits and dates are
//! everywhere: words farther away say nothing of them.

use super::Detector;
use super::assign::{self, Endings};
use super::place::{Place, Verdict, last};

/// What these are reported as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) code: Detector,
    pub(super) pin: Detector,
    pub(super) birth: Detector,
}

/// What a label says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Code,
    Pin,
    Birth,
}

/// Whether such a value may begin here: most values begin otherwise.
#[inline]
pub(super) fn may_begin(place: Place<'_>) -> bool {
    may_be_value(place.ahead()) && label(place.behind()).is_some()
}

/// The value that stands here.
#[inline]
pub(super) fn at(place: Place<'_>, kinds: Kinds) -> Verdict {
    if !may_be_value(place.ahead()) {
        return Verdict::No;
    }
    match label(place.behind()) {
        Some(label) => value(place, label, kinds),
        None => Verdict::No,
    }
}

fn value(place: Place<'_>, label: Label, kinds: Kinds) -> Verdict {
    let reach = &place.ahead()[..place.ahead().len().min(LONGEST)];
    let (detector, length) = match label {
        Label::Code => (kinds.code, digits(reach, 3..=4)),
        Label::Pin => (kinds.pin, digits(reach, 4..=6)),
        Label::Birth => (kinds.birth, date(reach)),
    };
    let open = reach.len() < LONGEST && !place.whole;
    match length {
        Some(length) if !ends(&reach[length..]) => Verdict::No,
        Some(length) if reach.len() > length + 1 || !open => Verdict::Match(detector, length),
        None if !open => Verdict::No,
        _ => Verdict::More,
    }
}

/// Whether a value may begin so: with a digit, or as a month does that is written with a capital.
#[inline]
fn may_be_value(ahead: &[u8]) -> bool {
    match ahead {
        [b'0'..=b'9', ..] => true,
        [first @ b'A'..=b'S'] => INITIALS.iter().any(|begin| begin[0] == *first),
        [first @ b'A'..=b'S', second, ..] => INITIALS.contains(&[*first, *second | 0x20]),
        _ => false,
    }
}

/// Whether a value may end before `rest`: no longer number, decimal or word goes on.
fn ends(rest: &[u8]) -> bool {
    match rest {
        [next, ..] if next.is_ascii_alphanumeric() || *next == b'_' => false,
        [b'.' | b',' | b'-' | b'/' | b':', next, ..] => !next.is_ascii_alphanumeric(),
        _ => true,
    }
}

fn digits(text: &[u8], lengths: std::ops::RangeInclusive<usize>) -> Option<usize> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    lengths.contains(&length).then_some(length)
}

/// What the label says that ends before a value.
fn label(behind: &[u8]) -> Option<Label> {
    let quiet = |text: &'_ [u8]| -> usize {
        let quiet = |byte: &&u8| b" \"'`*".contains(byte);
        text.len() - text.iter().rev().take_while(quiet).count()
    };
    let rest = last(behind, FARTHEST);
    let rest = &rest[..quiet(rest)];
    let rest = match rest {
        [front @ .., b':' | b'='] => front,
        [front @ .., b' ', b'i', b's'] => front,
        _ => return None,
    };
    let name = &rest[..quiet(rest)];
    if !may_be_one(name) {
        return None;
    }
    LABELS.iter().find_map(|(label, words)| {
        words
            .iter()
            .any(|word| is_named(name, word.as_bytes()))
            .then_some(*label)
    })
}

/// Whether the last three bytes are those of a label: most names are left here.
fn may_be_one(name: &[u8]) -> bool {
    static ENDINGS: Endings = {
        let (mut all, mut kind) = (Endings::new(), 0);
        while kind < LABELS.len() {
            all = all.and(LABELS[kind].1, 3);
            kind += 1;
        }
        all
    };
    let end = name.last_chunk::<3>();
    end.is_some_and(|end| ENDINGS.has(assign::last(end, 3)))
}

/// Whether a text ends in a word of its own, its spaces written as in names, too.
fn is_named(name: &[u8], word: &[u8]) -> bool {
    let Some(from) = name.len().checked_sub(word.len()) else {
        return false;
    };
    let same = |(one, other): (&u8, &u8)| {
        one.eq_ignore_ascii_case(other) || *other == b' ' && matches!(one, b'_' | b'-')
    };
    let apart = match &name[..from] {
        [.., before] => !before.is_ascii_alphanumeric() && before.is_ascii(),
        [] => true,
    };
    apart && name[from..].iter().zip(word).all(same)
}

/// The length of a date with the name of its month that a text begins with: `June 20, 1948`, `20. Juni 1948`, `20 de junio de 1948`.
fn date(text: &[u8]) -> Option<usize> {
    let rest = match day(text) {
        Some(rest) => month(skip(rest, &[". ", ".", "º ", " de ", " of ", " ", "-"]))?,
        None => {
            let rest = month(text)?;
            day(skip(rest, &[". ", " "]))?
        }
    };
    let rest = skip(rest, &[". de ", ", ", ". ", " de ", " of ", " ", "-"]);
    let year = &rest[..digits(rest, 4..=4)?];
    let year = year
        .iter()
        .fold(0, |year, digit| year * 10 + u32::from(digit - b'0'));
    (1880..2100)
        .contains(&year)
        .then(|| text.len() - rest.len() + 4)
}

/// What follows the number of a day, with the ending of one.
fn day(text: &[u8]) -> Option<&[u8]> {
    let (number, rest) = text.split_at(digits(text, 1..=2)?);
    let number = number.iter().fold(0, |day, digit| day * 10 + digit - b'0');
    (1..=31)
        .contains(&number)
        .then(|| skip(rest, &["st", "nd", "rd", "th", "er"]))
}

/// What follows the name of a month, or the first three letters of an English one.
fn month(text: &[u8]) -> Option<&[u8]> {
    let letter = |byte: &&u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    let (name, rest) = text.split_at(text.iter().take_while(letter).count());
    let name = name.to_ascii_lowercase();
    let short =
        |month: &&str| name.len() == 3 && month.as_bytes().starts_with(&name) || name == b"sept";
    let known =
        MONTHS.iter().any(|month| month.as_bytes() == name) || MONTHS[..12].iter().any(short);
    known.then_some(rest)
}

/// Without the first of these that a text begins with.
fn skip<'a>(text: &'a [u8], signs: &[&str]) -> &'a [u8] {
    let mut rest = signs
        .iter()
        .filter_map(|sign| text.strip_prefix(sign.as_bytes()));
    rest.next().unwrap_or(text)
}

const LABELS: [(Label, &[&str]); 3] = [
    (
        Label::Code,
        &[
            "cvv",
            "cvv2",
            "cvc",
            "cvc2",
            "cvv code",
            "cvc code",
            "cvv number",
            "card security code",
            "card verification code",
            "card verification value",
            "card verification number",
            "kartenprüfnummer",
            "prüfziffer",
            "cryptogramme",
            "código de seguridad",
            "código de segurança",
            "codice di sicurezza",
            "card cvv",
            "card cvc",
        ],
    ),
    (
        Label::Pin,
        &[
            "pin",
            "pin number",
            "atm pin",
            "card pin",
            "pin-nummer",
            "numéro pin",
            "código pin",
            "codice pin",
            "pincode",
        ],
    ),
    (
        Label::Birth,
        &[
            "dob",
            "d.o.b.",
            "date of birth",
            "birth date",
            "birthdate",
            "birthday",
            "born",
            "born on",
            "geburtsdatum",
            "geboren",
            "geboren am",
            "date de naissance",
            "né le",
            "née le",
            "fecha de nacimiento",
            "data di nascita",
            "data de nascimento",
            "geboortedatum",
            "dateofbirth",
        ],
    ),
];
/// What months begin with, in capitals; those that are written in small letters stand behind their day.
const INITIALS: [[u8; 2]; 10] = [
    *b"Ja", *b"Fe", *b"Ma", *b"Ap", *b"Ju", *b"Au", *b"Se", *b"Oc", *b"No", *b"De",
];
/// The names of months in English first.
const MONTHS: [&str; 62] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "januar",
    "februar",
    "märz",
    "mai",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "janvier",
    "février",
    "mars",
    "avril",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
    "gennaio",
    "febbraio",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "settembre",
    "ottobre",
    "dicembre",
    "janeiro",
    "fevereiro",
    "março",
    "maio",
    "junho",
    "julho",
    "setembro",
    "outubro",
    "dezembro",
    "januari",
];
/// No value is longer, and no label with what joins it.
const LONGEST: usize = 40;
const FARTHEST: usize = 48;

#[cfg(test)]
mod tests;
