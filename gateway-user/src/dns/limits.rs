//! How much a workload may ask: names carry data out, and answers carry data in.
//!
//! In: each question of a workload. Out: whether it is too much. What leaves by a tunnel is in the labels below the tunnel's domain, so names
//! and bytes are counted below each registrable parent, each name once in a stretch: asking again tells nothing new. The suffix list that
//! would tell parents for certain is not needed for that: a guess that is too high counts more names together, one that is too low fewer.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::message::{Kind, Question};

/// How much each workload has asked lately.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<u32, Asked>>);

/// A question that is too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// What there is too much of.
    pub reason: &'static str,
    /// The first of its workload in this stretch: the one that is reported.
    pub first: bool,
    /// How many there were in the stretch before.
    pub before: u64,
}

/// What one workload has asked in this stretch.
#[derive(Debug)]
struct Asked {
    began: Instant,
    questions: u32,
    texts: u32,
    names: HashSet<u64>,
    bytes: usize,
    parents: HashMap<u64, Parent>,
    refused: u64,
    before: u64,
}

#[derive(Debug, Default)]
struct Parent {
    names: u32,
    bytes: usize,
}

impl Limits {
    /// Counts a question.
    ///
    /// # Errors
    /// It is too much, or of a kind that nobody needs.
    pub fn admit(&self, workload: u32, question: &Question, now: Instant) -> Result<(), Excess> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = all.entry(workload).or_insert_with(|| Asked::new(now, 0));
        if now.duration_since(asked.began) >= STRETCH {
            *asked = Asked::new(now, asked.refused);
        }
        asked.count(question).map_err(|reason| {
            asked.refused += 1;
            Excess {
                reason,
                first: asked.refused == 1,
                before: asked.before,
            }
        })
    }

    /// Forgets a workload.
    pub fn forget(&self, workload: u32) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&workload);
    }
}

impl Asked {
    fn new(began: Instant, before: u64) -> Self {
        Self {
            began,
            questions: 0,
            texts: 0,
            names: HashSet::new(),
            bytes: 0,
            parents: HashMap::new(),
            refused: 0,
            before,
        }
    }

    fn count(&mut self, question: &Question) -> Result<(), &'static str> {
        if matches!(
            question.kind,
            Kind::NULL | Kind::ANY | Kind::AXFR | Kind::IXFR
        ) {
            return Err("tunnel: no client needs a question of this type");
        }
        if question.name.len() > MAX_NAME {
            return Err("tunnel: the name is longer than names are");
        }
        self.questions += 1;
        if self.questions > MAX_QUESTIONS {
            return Err("more questions a minute than agents ask");
        }
        if question.kind == Kind::TXT {
            self.texts += 1;
            if self.texts > MAX_TEXTS {
                return Err("tunnel: more TXT questions a minute than agents ask");
            }
        }
        let name = hash(&question.name);
        if self.names.contains(&name) {
            return Ok(());
        }
        let parent = parent(&question.name);
        let bytes = weight(&question.name[..question.name.len() - parent.len()]);
        let below = self.parents.entry(hash(parent)).or_default();
        if below.names + 1 > MAX_NAMES_BELOW || below.bytes + bytes > MAX_BYTES_BELOW {
            return Err("tunnel: more new names a minute below one domain than agents ask for");
        }
        if self.names.len() + 1 > MAX_NAMES || self.bytes + bytes > MAX_BYTES {
            return Err("tunnel: more new names a minute than agents ask for");
        }
        below.names += 1;
        below.bytes += bytes;
        self.bytes += bytes;
        self.names.insert(name);
        Ok(())
    }
}

/// The part of a name that somebody has registered: its last two labels, or three where the second stands for a registry (`co.uk`).
fn parent(name: &str) -> &str {
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), second, third) = (dots.next(), dots.next(), dots.next()) else {
        return name;
    };
    let country = name.len() - last - 1 == 2;
    let registry = second.is_some_and(|second| last - second - 1 <= 3);
    let start = if country && registry { third } else { second };
    start.map_or(name, |dot| &name[dot + 1..])
}

/// Bytes that the labels below a parent can carry; encoded data counts more than words.
fn weight(labels: &str) -> usize {
    labels.len()
        * if labels.split('.').any(is_coded) {
            CODED_WEIGHT
        } else {
            1
        }
}

/// Whether a label has fewer vowels than words of any language do: of base32 a sixth of the characters are, of hexadecimal an eighth.
fn is_coded(label: &str) -> bool {
    let vowel = |byte: &u8| matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u');
    let vowels = label.bytes().filter(|byte| vowel(byte)).count();
    label.len() >= CODED && vowels * 4 < label.len()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// One browser page asks for some fifty names; a minute is what people wait for a count to end.
const STRETCH: Duration = Duration::from_secs(60);
/// `getaddrinfo` asks twice for each connection: 500 connections a second, all through the minute.
const MAX_QUESTIONS: u32 = 60_000;
/// Mail checks and service records need a few.
const MAX_TEXTS: u32 = 30;
/// Long names of load balancers and buckets have 110 characters; a full tunnel name has 253.
const MAX_NAME: usize = 180;
/// New names below one domain: buckets, tenants and content servers of one provider; a tunnel of a page of text needs more.
const MAX_NAMES_BELOW: u32 = 120;
/// New bytes below one domain: 68 a second.
const MAX_BYTES_BELOW: usize = 4096;
/// New names of all domains: a crawler's pages; and who has many domains gets no further than this.
const MAX_NAMES: usize = 1200;
/// New bytes below all domains.
const MAX_BYTES: usize = 16 * 1024;
/// Shorter labels say little by their letters.
const CODED: usize = 24;
/// A tunnel that codes well gets a quarter of the names.
const CODED_WEIGHT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_what_is_registered() {
        for (name, expected) in [
            ("a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("localhost", "localhost"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("data.attacker.io", "attacker.io"),
            ("data.x.io", "data.x.io"),
            (".", "."),
        ] {
            assert_eq!(parent(name), expected, "{name}");
        }
    }

    #[test]
    fn coded_labels_weigh_more_than_words() {
        assert_eq!(weight("content-delivery-network-images."), 32);
        assert_eq!(
            weight("mzxw6ytboi4dcmrtgq2tmnzyhe4tsobq."),
            33 * CODED_WEIGHT
        );
    }
}
