//! What stands above a value of a JSON document, and beside it, that tells what it is.
//!
//! In: a document's structure, keys and strings, in order. Out: what a detector reads before the next string. That is its key; in a list the
//! key of the list, or an option right before it (`"--password", "…"`); where the key is `value`, the `name` beside it; where it is
//! `value` or `number` and no name is beside it, what the object is called.

use super::document::LONGEST_KEY;
use crate::detect;
use crate::protocol::json::Step;

/// The open objects and lists of a document, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Above {
    open: Vec<Open>,
    /// How many more are open inside of the last one.
    deeper: usize,
}

#[derive(Debug, Default)]
struct Open {
    /// The last key of an object; none of a list.
    key: Option<String>,
    /// What an object calls itself, or the last element of a list.
    said: String,
}

impl Open {
    /// The next value of an object has this key.
    fn come_to(&mut self, key: &str) {
        let key = &key[..key.floor_char_boundary(LONGEST_KEY)];
        if let Some(last) = self.key.as_mut().filter(|last| *last != key) {
            last.clear();
            last.push_str(key);
        }
    }
}

impl Above {
    /// An object or a list begins.
    pub(super) fn open(&mut self, list: bool) {
        if self.open.len() == DEEPEST {
            self.deeper += 1;
            return;
        }
        self.open.push(Open {
            key: (!list).then(String::new),
            said: String::new(),
        });
    }

    /// The last one that is open ends.
    pub(super) fn close(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else {
            self.open.pop();
            self.says(|| "");
        }
    }

    /// The next value stands at this path; the objects and lists beside it have been ended.
    pub(super) fn place(&mut self, path: &[Step<'_>]) {
        self.open.truncate(path.len());
        // An object that is open already may have come to another key.
        for (open, step) in self.open.iter_mut().zip(path) {
            if let Step::Key(key) = step {
                open.come_to(key);
            }
        }
        for step in &path[self.open.len()..] {
            self.open(matches!(step, Step::Index(_)));
            if let Step::Key(key) = step {
                self.key(key);
            }
        }
    }

    /// Whether the last one that is open is a list.
    pub(super) fn is_list(&self) -> bool {
        self.open.last().is_some_and(|open| open.key.is_none())
    }

    /// The next value of the last object has this key.
    pub(super) fn key(&mut self, key: &str) {
        if let Some(open) = self.open.last_mut().filter(|_| self.deeper == 0) {
            open.come_to(key);
        }
    }

    /// A value says this: the empty text where it is no string. It is read only where it tells what others are.
    pub(super) fn says<T: AsRef<str>>(&mut self, text: impl FnOnce() -> T) {
        let Some(open) = self.open.last_mut() else {
            return;
        };
        let tells = match &open.key {
            Some(key) => is_one_of(key, &NAMES),
            None => true,
        };
        if tells && self.deeper == 0 {
            open.said.clear();
            let text = text();
            let text = text.as_ref();
            if text.len() < LONGEST_KEY {
                open.said.push_str(text);
            }
        }
    }

    /// What a detector reads before the next string.
    pub(super) fn announce(&self) -> String {
        let Some((last, above)) = self.open.split_last().filter(|_| self.deeper == 0) else {
            return String::new();
        };
        let nearest = |all: &[Open]| all.iter().rposition(|open| open.key.is_some());
        let Some(key) = &last.key else {
            if last.said.starts_with("--") {
                return announce(&last.said);
            }
            let key = nearest(above).and_then(|at| above[at].key.as_deref());
            return key.map_or_else(String::new, |key| announce(one(key)));
        };
        let value = is_one_of(key, &VALUES);
        if value && !last.said.is_empty() {
            return announce(&last.said);
        }
        let whole = nearest(above).and_then(|at| above[at].key.as_deref());
        match whole {
            Some(whole) if value => announce(one(whole)),
            Some(whole) if key.eq_ignore_ascii_case("number") => {
                announce(&format!("{} {key}", one(whole)))
            }
            _ => announce(key),
        }
    }
}

/// What a detector reads before a value with this name: some values are secret by their name only.
pub(super) fn announce(name: &str) -> String {
    detect::string_named(&name[..name.floor_char_boundary(LONGEST_KEY)])
}

/// One of what a list is called by: `api_keys` are each an `api_key`.
fn one(key: &str) -> &str {
    match key.strip_suffix(['s', 'S']) {
        Some(one) if !one.ends_with(['s', 'S']) => one,
        _ => key,
    }
}

fn is_one_of(key: &str, all: &[&str]) -> bool {
    all.iter().any(|name| key.eq_ignore_ascii_case(name))
}

/// Keys of what an object is called.
const NAMES: [&str; 6] = [
    "name",
    "key",
    "id",
    "parameterkey",
    "parametername",
    "variable",
];
/// Keys of what it holds.
const VALUES: [&str; 3] = ["value", "parametervalue", "stringvalue"];
/// Documents that are read as a whole are no deeper.
const DEEPEST: usize = 128;
