//! What telephones are called, in the languages of those who have them, and what that says of a number behind it.

use crate::place::{Place, last_words};
use crate::words::Words;

/// The words that announce a number, and those that do so only right before it: what one does with a telephone is done with more.
#[derive(Debug)]
pub(crate) struct Announcing {
    pub(super) names: Vec<usize>,
    verbs: Vec<usize>,
}

impl Announcing {
    pub(crate) fn new(words: &mut Words) -> Self {
        let mut numbers = |all: &[&str]| all.iter().map(|word| words.number(word)).collect();
        Self {
            names: numbers(&WORDS),
            verbs: numbers(&VERBS),
        }
    }

    /// What a word says of a number here that is written as such, and of some plain digits.
    pub(super) fn announce(&self, place: Place<'_>, words: &Words) -> (bool, bool) {
        let behind = place.behind();
        let spoken = match behind {
            [.., before, b' '] => before.is_ascii_alphanumeric() || b":,".contains(before),
            [.., before] => b":@".contains(before),
            [] => false,
        };
        let verb = || words.said(last_words(behind, NEAR_VERB)).any(&self.verbs);
        let named = || words.said(last_words(behind, NEAR)).any(&self.names);
        let joined = self.ends_in_name(behind, words);
        (joined || spoken && verb() || named(), joined)
    }

    /// Whether a text ends in a name, signs and words that join one to its number.
    fn ends_in_name(&self, text: &[u8], words: &Words) -> bool {
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
        let mut rest = text;
        for _ in 0..MOST_JOINERS {
            rest = &rest[..rest.iter().rposition(part).map_or(0, |at| at + 1)];
            let from = rest.iter().rposition(|byte| !part(byte));
            let (front, word) = rest.split_at(from.map_or(0, |at| at + 1));
            if !JOINERS
                .iter()
                .any(|joiner| word.eq_ignore_ascii_case(joiner))
            {
                return words.said(word).any(&self.names);
            }
            rest = front;
        }
        false
    }
}

/// How far before a number its name may stand, and a verb.
const NEAR: usize = 40;
const NEAR_VERB: usize = 24;
/// `phone number is`
const MOST_JOINERS: usize = 4;

/// What announces a number.
const WORDS: [&str; 120] = [
    "mobilnr",
    "mobilt",
    "telefonní číslo",
    "telefon numarası",
    "cep telefonu",
    "số điện thoại",
    "nomor hp",
    "no hp",
    "мобільний",
    "номер телефону",
    "номер телефона",
    "เบอร์โทร",
    "फ़ोन",
    "전화번호",
    "電話番号",
    "联系电话",
    "聯絡電話",
    "gsm no",
    "tlf",
    "tlf.",
    "matkapuhelin",
    "kännykkä",
    "mobiltelefonszám",
    "číslo telefonu",
    "αριθμός τηλεφώνου",
    "رقم الهاتف",
    "رقم الجوال",
    "מספר טלפון",
    "phone",
    "phones",
    "telephone",
    "tel",
    "tel.",
    "mobile",
    "fax",
    "whatsapp",
    "viber",
    "sms",
    "telefon",
    "telefono",
    "teléfono",
    "tél",
    "tél.",
    "téléphone",
    "celular",
    "telefone",
    "phone number",
    "contact number",
    "landline",
    "hotline",
    "telefonnummer",
    "telefonnr",
    "telefon-nr",
    "tel-nr",
    "tel.-nr",
    "handynummer",
    "handynr",
    "mobilnummer",
    "mobiltelefon",
    "mobilfunk",
    "rufnummer",
    "festnetz",
    "faxnummer",
    "móvil",
    "cellulare",
    "cell phone",
    "cellphone",
    "cellular",
    "telemóvel",
    "telemovel",
    "telefoonnummer",
    "telefoon",
    "mobiel",
    "puhelin",
    "puhelinnumero",
    "telefonszám",
    "numer telefonu",
    "telefonní",
    "numero di telefono",
    "numéro de téléphone",
    "mon numéro",
    "votre numéro",
    "au numéro",
    "nomor telepon",
    "telepon",
    "điện thoại",
    "phone no",
    "mobile no",
    "телефон",
    "Телефон",
    "телефона",
    "тел",
    "тел.",
    "Тел.",
    "Тел",
    "мобильный",
    "Мобильный",
    "моб.",
    "电话",
    "電話",
    "手机",
    "手機",
    "携帯",
    "연락처",
    "전화",
    "휴대폰",
    "핸드폰",
    "फोन",
    "मोबाइल",
    "هاتف",
    "الهاتف",
    "جوال",
    "موبايل",
    "טלפון",
    "נייד",
    "τηλέφωνο",
    "Τηλέφωνο",
    "κινητό",
    "โทร",
    "โทรศัพท์",
];
/// And what does so right before it: verbs, and words of more meanings.
const VERBS: [&str; 27] = [
    "call",
    "cell",
    "dial",
    "ring",
    "ph",
    "desk",
    "calling",
    "text me",
    "reach me",
    "reached at",
    "answering at",
    "messages to",
    "message to",
    "text to",
    "appelez",
    "llame",
    "llámame",
    "chiama",
    "rufen",
    "anrufen",
    "erreichbar",
    "bel",
    "portable",
    "handy",
    "gsm",
    "fono",
    "mobil",
];
/// What may stand between a name and plain digits.
const JOINERS: [&[u8]; 22] = [
    b"th", b"td", b"dt", b"dd", b"number", b"numbers", b"no", b"nr", b"num", b"nummer", b"is",
    b"ist", b"est", b"es", b"at", b"on", b"me", b"us", b"n", b"value", b"text", b"string",
];
