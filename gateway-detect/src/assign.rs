//! Secrets that nothing but their name tells: `password = …`, `"api_key": "…"`, `Authorization: Bearer …`, `scheme://user:…@host`.
//!
//! In: a place where a value may start. Out: whether the name before it is that of a secret, and the value one that somebody chose or
//! drew: not a placeholder, a reference to a variable, a call, a type, a path or a word. The value alone is the match.

mod announced;
mod call;
mod column;
mod columns;
mod command;
mod endings;
mod foreign;
mod later;
mod logon;
mod markup;
mod names;
mod placeholder;
mod program;
mod said;
mod sentence;
mod url;
mod value;

pub(super) use announced::is_announced;
pub(super) use column::{in_column, is_cell};
pub(super) use endings::{Endings, last};
pub(super) use later::{Later, argument, later, named};
pub(super) use said::STRING;
use said::{END, said};
use url::in_url;
pub(super) use url::{is_in_url, user};
use value::{
    is_argument, is_basic, is_drawn, is_flag, is_known, is_mixture, is_password, is_signed,
    is_strong, is_token, is_told, is_variable,
};

use super::place::{Class, Place, Verdict, run};
use super::proof::has_all_kinds;
use super::{Detector, label};

/// What an assignment is reported as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) secret: Detector,
    pub(super) password: Detector,
    pub(super) phrase: Detector,
    pub(super) bearer: Detector,
    pub(super) basic: Detector,
    pub(super) url: Detector,
    pub(super) connection: Detector,
}

/// What the name before a value says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Secret,
    Password,
    /// A password by its place, whatever it looks like: in the parts of a connection string, behind a user.
    Known,
    /// Such a password behind an option that is a port or a path of other programs.
    Flag,
    /// A password behind its name in a call.
    Argument,
    /// A password behind its variable of the environment: `DB_PASSWORD=`.
    Variable,
    Bearer,
    /// Some key, of which only what cannot be anything else counts.
    Key,
    /// A password or token, as a sentence has it: only what is drawn counts.
    Drawn,
    DrawnToken,
    /// A password as a sentence has it that says so: what is drawn, and what somebody chose with a digit and a sign.
    Told,
    /// Something of which the text before may say that it is a password or a token.
    Subject,
    /// What is written to another command, which may take it as a password.
    Piped,
    /// What is used as something that is named behind it.
    Used,
    /// A value that may have its name behind it.
    Beside,
    /// The words of which a wallet is made again.
    Phrase,
    /// A user and a password in base 64.
    Basic,
}

/// Whether a value may start here: behind `=`, `:`, a quote, a space or a bracket.
#[inline]
pub(super) fn may_start(place: Place<'_>) -> bool {
    let before = place.follows(|byte| BEFORE.has(byte)) || place.behind().ends_with(ATTACHED);
    before && (FIRST.has(place.ahead()[0]) || later::is_section(place))
}

/// The secret that stands here.
pub(super) fn at(place: Place<'_>, kinds: Kinds) -> Verdict {
    if place.follows(|byte| byte == b':') {
        let verdict = in_url(place, kinds).or(url::in_source(place, kinds));
        if verdict != Verdict::No {
            return verdict;
        }
    }
    match said(place.behind()) {
        (said, Some(END)) => string(place, said, kinds),
        (said, quote) => behind(place, said, quote, kinds),
    }
}

/// A value that is all of a string, or the first of its words.
fn string(place: Place<'_>, said: Said, kinds: Kinds) -> Verdict {
    let verdict = behind(place, said, Some(END), kinds);
    if verdict != Verdict::No {
        return verdict;
    }
    let word = behind(place, said, None, kinds);
    let ahead = place.ahead();
    let reach = &ahead[..ahead.len().min(LONGEST_PASSWORD + 1)];
    let few = reach.len() < LONGEST_PASSWORD
        && reach.iter().filter(|byte| **byte == b' ').count() <= MOST_SPACES
        && !reach.contains(&b'\n');
    match word {
        // What is a password with its first word is one with the others.
        Verdict::Match(detector, _) if few && detector == kinds.password => {
            if place.whole {
                Verdict::Match(detector, ahead.len())
            } else {
                Verdict::More
            }
        }
        other => other,
    }
}

fn behind(place: Place<'_>, said: Said, quote: Option<u8>, kinds: Kinds) -> Verdict {
    match said {
        Said::Nothing => Verdict::No,
        // Few values look so, and so most sentences need not be read.
        Said::Subject => match told(place, quote, kinds.password) {
            Verdict::No => Verdict::No,
            _ => behind(place, sentence::about(place.behind()), quote, kinds),
        },
        Said::Password => password(place, quote, kinds.password, 6, is_password),
        Said::Known => password(place, quote, kinds.password, 4, is_known),
        Said::Flag => password(place, quote, kinds.password, 4, is_flag),
        Said::Argument => password(place, quote, kinds.password, 6, is_argument),
        Said::Variable => password(place, quote, kinds.password, 6, is_variable),
        Said::Secret => token(place, quote, SHORTEST_TOKEN, kinds.secret),
        Said::Key => token(place, quote, 24, kinds.secret),
        Said::Drawn => match drawn(place, quote, 8, kinds.password) {
            Verdict::No => password(place, quote, kinds.password, 8, is_mixture),
            verdict => verdict,
        },
        Said::DrawnToken => drawn(place, quote, 20, kinds.secret),
        Said::Told => told(place, quote, kinds.password),
        Said::Piped => later::piped(place, quote, kinds),
        Said::Used => later::used(place, quote, kinds),
        Said::Beside => later::beside(place, quote, kinds),
        Said::Phrase => phrase(place, kinds.phrase),
        Said::Basic => token(place, quote, usize::MAX, kinds.basic),
        Said::Bearer => token(place, quote, 14, kinds.bearer),
    }
}

fn password(
    place: Place<'_>,
    quote: Option<u8>,
    detector: Detector,
    shortest: usize,
    is_one: fn(&[u8], bool) -> bool,
) -> Verdict {
    static PLAIN: Class = Class::alphanumeric_and(b"!#%&*+-./:=?@^_~$|{}[](");
    static IN_QUERY: Class = Class::alphanumeric_and(b"!#%*+-./:?@^_~$|{}[](");
    static IN_LOGON: Class = Class::alphanumeric_and(b"!#%*+-.:?^_~$|{}[](");
    let ahead = place.ahead();
    // The logon of a database ends in its name.
    let plain = if said::in_query(place.behind()) {
        &IN_QUERY
    } else if place.follows(|byte| byte == b'/') {
        &IN_LOGON
    } else {
        &PLAIN
    };
    // An element has all the text up to the next tag, and signs of its own.
    let tagged = quote.is_none() && place.follows(|byte| byte == b'>');
    let tagged = tagged.then(|| element(place)).flatten();
    let end = match quote.or(tagged) {
        Some(quote) => ahead
            .iter()
            .take(LONGEST_PASSWORD + 1)
            .position(|&byte| byte == quote || byte == b'\n'),
        None => Some(run(&ahead[..ahead.len().min(LONGEST_PASSWORD + 1)], plain))
            .filter(|end| *end < ahead.len().min(LONGEST_PASSWORD + 1)),
    };
    let end = match end {
        Some(end) => end,
        None if ahead.len() > LONGEST_PASSWORD => return Verdict::No,
        None if !place.whole => return Verdict::More,
        None => ahead.len(),
    };
    let end = match quote.or(tagged) {
        Some(_) => end,
        None => match closes(ahead, end, plain, place.whole) {
            Some(end) => end,
            None => return Verdict::More,
        },
    };
    let closed = quote.is_none_or(|quote| ahead.get(end).is_none_or(|&byte| byte == quote));
    let value = if quote.is_none() {
        trimmed(&ahead[..end])
    } else {
        &ahead[..end]
    };
    if closed && value.len() >= shortest && is_one(value, quote.is_some()) {
        Verdict::Match(detector, value.len())
    } else {
        Verdict::No
    }
}

/// Where a value outside of quotes ends that may have a closing bracket among its signs: what is drawn goes on behind one.
fn closes(ahead: &[u8], end: usize, plain: &Class, whole: bool) -> Option<usize> {
    if ahead.get(end) != Some(&b')') {
        return Some(end);
    }
    let reach = &ahead[..ahead.len().min(LONGEST_PASSWORD + 1)];
    let more = reach
        .iter()
        .position(|byte| !plain.has(*byte) && *byte != b')');
    if more.is_none() && reach.len() == ahead.len() && !whole {
        return None;
    }
    let length = more.unwrap_or(reach.len());
    let mut longer = &reach[..length];
    while let [before @ .., b')' | b'.' | b':'] = longer {
        longer = before;
    }
    let drawn = length <= LONGEST_PASSWORD
        && longer.len() > end
        && is_drawn(longer)
        && !longer.contains(&b'(');
    Some(if drawn { longer.len() } else { end })
}

/// What ends the text of an element that is one word, or may become one.
fn element(place: Place<'_>) -> Option<u8> {
    let ahead = place.ahead();
    let mut reach = ahead.iter().take(LONGEST_PASSWORD + 1);
    let one = match reach.find(|byte| **byte == b'<' || byte.is_ascii_whitespace()) {
        Some(end) => *end == b'<',
        None => !place.whole && ahead.len() <= LONGEST_PASSWORD,
    };
    one.then_some(b'<')
}

/// Without the sign that ends a sentence or a list's item.
fn trimmed(value: &[u8]) -> &[u8] {
    match value {
        [before @ .., b'.' | b':' | b'?'] => before,
        value => value,
    }
}

fn token(place: Place<'_>, quote: Option<u8>, shortest: usize, detector: Detector) -> Verdict {
    static TOKEN: Class = Class::alphanumeric_and(b"_-.+/=~!");
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST_TOKEN)], &TOKEN);
    if length == ahead.len() && length < LONGEST_TOKEN && !place.whole {
        return Verdict::More;
    }
    if length == LONGEST_TOKEN {
        return Verdict::No;
    }
    let value = if quote.is_none() {
        trimmed(&ahead[..length])
    } else {
        &ahead[..length]
    };
    let next = ahead.get(value.len()).copied();
    let ended = match quote {
        Some(quote) => next.is_none_or(|next| next == quote),
        None if next == Some(b'<') => place.follows(|byte| byte == b'>'),
        None => !next.is_some_and(|next| b"([{$*@\\".contains(&next)),
    };
    if ended && value.len() >= shortest && is_token(value, quote.is_some())
        || ended && is_basic(value)
    {
        return Verdict::Match(detector, value.len());
    }
    match quote {
        Some(END) if !ended => password(place, quote, detector, shortest, is_signed),
        Some(_) if !ended => password(place, quote, detector, shortest, is_strong),
        _ => Verdict::No,
    }
}

/// A token of letters of both cases and digits.
fn drawn(place: Place<'_>, quote: Option<u8>, shortest: usize, detector: Detector) -> Verdict {
    match token(place, quote, shortest, detector) {
        Verdict::Match(_, length) if !has_all_kinds(&place.ahead()[..length]) => Verdict::No,
        verdict => verdict,
    }
}

/// A password that is drawn, or that has a digit and a sign.
fn told(place: Place<'_>, quote: Option<u8>, detector: Detector) -> Verdict {
    match drawn(place, quote, 8, detector) {
        Verdict::No => password(place, quote, detector, 6, is_told),
        verdict => verdict,
    }
}

/// Words as BIP-39 lists them, of three to eight small letters, as many as it allows.
fn phrase(place: Place<'_>, detector: Detector) -> Verdict {
    let ahead = place.ahead();
    let (mut count, mut end) = (0, 0);
    while count < MOST_WORDS {
        let from = end + usize::from(count > 0 && ahead.get(end) == Some(&b' '));
        let rest = ahead.get(from..).unwrap_or_default();
        let length = rest
            .iter()
            .take(9)
            .take_while(|byte| byte.is_ascii_lowercase())
            .count();
        if from + length == ahead.len() && length < 9 && !place.whole {
            return Verdict::More;
        }
        if !(3..=8).contains(&length) {
            break;
        }
        (count, end) = (count + 1, from + length);
    }
    let ended = !ahead.get(end).is_some_and(u8::is_ascii_alphanumeric);
    if count >= 12 && count % 3 == 0 && ended {
        Verdict::Match(detector, end)
    } else {
        Verdict::No
    }
}

/// The option behind which a value may stand at once.
const ATTACHED: &[u8] = b" -p";
/// What may stand right before a value.
pub(super) static BEFORE: Class = Class::from(b"=:\"'` \t\n>(%,;/[|");
/// What a value may begin with.
pub(super) static FIRST: Class = Class::alphanumeric_and(b"!#%&*+-./:=?@^_~$()");
const LONGEST_PASSWORD: usize = 128;
const MOST_WORDS: usize = 24;
/// What is of more words says something.
const MOST_SPACES: usize = 2;
/// Nothing shorter is drawn by a machine.
const SHORTEST_TOKEN: usize = 12;
const LONGEST_TOKEN: usize = 400;

#[cfg(test)]
mod tests;
