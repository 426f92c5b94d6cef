//! All built-in detectors: their names, classes and descriptions, and the tables they work by, read once.

use std::sync::LazyLock;

use super::assign::Kinds;
use super::people::People;
use super::secret::Secrets;
use super::words::Words;
use super::{Detector, card, email, label, phone};

/// What is known of a built-in detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name in policies, findings and placeholders.
    pub id: &'static str,
    /// `secrets` or `pii`.
    pub class: &'static str,
    /// What it finds.
    pub description: &'static str,
}

/// The built-in detectors.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) all: Vec<Known>,
    pub(super) secrets: Secrets,
    pub(super) people: People,
    pub(super) words: Words,
    pub(super) mail_words: Vec<usize>,
    pub(super) card_words: card::Said,
    pub(super) phone_words: phone::Announcing,
    pub(super) coin_words: Vec<usize>,
    pub(super) ids: Ids,
    /// Rows that could not be read; a test sees to it that there are none.
    #[cfg(test)]
    pub(super) unread: Vec<&'static str>,
}

/// The detectors that are code of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) card: Detector,
    pub(super) email: Detector,
    pub(super) aws: Detector,
    pub(super) iban: Detector,
    pub(super) phone: Detector,
    pub(super) v4: Detector,
    pub(super) v6: Detector,
    pub(super) mac: Detector,
    pub(super) coin: Detector,
    pub(super) coin_key: Detector,
    pub(super) passport_line: Detector,
    pub(super) pem: Detector,
    pub(super) labelled: label::Kinds,
    pub(super) assigned: Kinds,
}

/// The built-in detectors, read at the first use.
pub(super) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(read);

/// All built-in detectors, by class and name.
#[must_use]
pub fn built_in() -> Vec<Known> {
    let mut all = CATALOGUE.all.clone();
    all.sort_by_key(|known| (known.class, known.id));
    all
}

fn read() -> Catalogue {
    let mut all: Vec<Known> = Vec::new();
    let mut number = |class, id, description| {
        let at = all
            .iter()
            .position(|known| known.id == id)
            .unwrap_or_else(|| {
                all.push(Known {
                    id,
                    class,
                    description,
                });
                all.len() - 1
            });
        Detector::BuiltIn(u16::try_from(at).unwrap_or(u16::MAX))
    };
    let assigned = Kinds {
        secret: number(
            SECRETS,
            "generic-secret",
            "value of something called a key, token or secret",
        ),
        password: number(SECRETS, "password", "value of something called a password"),
        phrase: number(SECRETS, "seed-phrase", "recovery phrase of a wallet"),
        bearer: number(SECRETS, "bearer-token", "token of an Authorization header"),
        basic: number(
            SECRETS,
            "basic-auth",
            "user and password of an Authorization header",
        ),
        url: number(SECRETS, "url-password", "password in a web address"),
        connection: number(
            SECRETS,
            "connection-string",
            "password in the address of a database, queue or other service",
        ),
    };
    let labelled = label::Kinds {
        code: number(PII, "card-security-code", "security code of a payment card"),
        pin: number(PII, "pin", "personal identification number"),
        birth: number(PII, "date-of-birth", "date of birth"),
    };
    let ids = Ids {
        card: number(PII, "credit-card", "payment card number"),
        email: number(PII, "email", "e-mail address"),
        aws: number(SECRETS, "aws-key", "AWS access key id or secret access key"),
        iban: number(PII, "iban", "international bank account number"),
        phone: number(PII, "phone-number", "telephone number"),
        v4: number(PII, "ip-address", "public IPv4 or IPv6 address"),
        v6: number(PII, "ip-address", ""),
        mac: number(PII, "mac-address", "address of a network card"),
        coin: number(
            PII,
            "crypto-address",
            "Bitcoin, Litecoin, Tron or Ethereum address",
        ),
        coin_key: number(SECRETS, "crypto-private-key", "private key of a wallet"),
        passport_line: number(
            PII,
            "passport-mrz",
            "machine-readable line of a passport or identity card",
        ),
        pem: number(SECRETS, "private-key", "private key in PEM"),
        labelled,
        assigned,
    };
    let (mut words, mut unread) = (Words::default(), Vec::new());
    let mut forms = Vec::new();
    for (row, columns) in rows(include_str!("secrets.txt")) {
        let read = columns.and_then(|[id, pattern, options, description]| {
            Secrets::read(
                &mut forms,
                &mut words,
                number(SECRETS, id, description),
                pattern,
                options,
            )
        });
        if read.is_none() {
            unread.push(row);
        }
    }
    let (mut kinds, mut masks) = (Vec::new(), Vec::new());
    for (row, columns) in rows(include_str!("people.txt")) {
        let read = columns.and_then(|[id, all, check, said, description]| {
            People::read(
                &mut kinds,
                &mut masks,
                &mut words,
                number(PII, id, description),
                [all, check, said],
            )
        });
        if read.is_none() {
            unread.push(row);
        }
    }
    let secrets = Secrets::new(forms, &mut words);
    let mail_words = email::WORDS.iter().map(|word| words.number(word)).collect();
    let card_words = card::Said::new(&mut words);
    let phone_words = phone::Announcing::new(&mut words);
    let coin_words = COIN_WORDS.iter().map(|word| words.number(word)).collect();
    #[cfg(not(test))]
    drop(unread);
    Catalogue {
        all,
        secrets,
        people: People::new(kinds, masks),
        words: words.ready(),
        mail_words,
        card_words,
        phone_words,
        coin_words,
        ids,
        #[cfg(test)]
        unread,
    }
}

/// The rows of a table, with their columns if they are as many as they have to be.
fn rows<const N: usize>(
    table: &'static str,
) -> impl Iterator<Item = (&'static str, Option<[&'static str; N]>)> {
    let lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<&str> = line.split(" |").map(str::trim).collect();
        (line, columns.try_into().ok())
    })
}

const PII: &str = "pii";
/// The class of what opens something.
pub(super) const SECRETS: &str = "secrets";
/// What announces an address that has no check.
const COIN_WORDS: [&str; 8] = [
    "wallet", "eth", "ethereum", "address", "ether", "usdt", "metamask", "erc20",
];
