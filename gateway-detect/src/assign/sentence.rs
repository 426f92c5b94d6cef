//! What sentences say of a value: `the password is …`, `the api key for the shop is …`, `use … as the password`,
//! `… is my api key`.
//!
//! In: the text up to a value, or from it on. Out: what its name is that of. Names in prose are names of much else, and so only what looks
//! drawn or chosen counts behind and before them.

use super::Said;
use super::foreign::foreign;
use super::names::names;
use super::said::{ends_with_word, is_of_environment, single, word};
use crate::place::{Class, Place, last};

/// Whether a value stands behind a word and a space that say nothing of it: most words of prose. Those that may are `is`, what ends as
/// names do, and options; behind most of these only what has a digit counts.
#[inline]
pub(super) fn is_prose(place: Place<'_>) -> bool {
    let behind = place.behind();
    let [front @ .., a, b, c, b' '] = behind else {
        return false;
    };
    if !c.is_ascii_alphabetic() {
        return false;
    }
    let apart = front.last() == Some(&b' ');
    match [a | 0x20, b | 0x20, c | 0x20] {
        [b' ', b'i', b's'] => {
            is_plain(place)
                && !(matches!(front, [.., b'e' | b'c']) && names(word(front)) == Said::Phrase)
        }
        [b' ', b'e', b's'] => is_plain(place),
        [b'u', b's', b'e'] => !has_digit(place),
        [b'k', b'e', b'n' | b'y'] | [b'r', b'e', b't'] => !has_digit(place),
        [b'i' | b'e', b's', b't'] if apart => is_plain(place),
        [b'r', b'e', b'r'] | [b's', b'i', b'c'] | [_, b'r', b'd'] => false,
        [b'a', b's', b's'] | [b'l', b'u', b's'] | [b's', b'e', b'r'] => false,
        _ => !single(&behind[..behind.len() - 1]).starts_with(b"-"),
    }
}

/// Whether a word of letters stands here, and perhaps what ends a sentence. The words of a wallet are such, behind `phrase is`.
fn is_plain(place: Place<'_>) -> bool {
    let ahead = place.ahead();
    let end = ahead.iter().position(|byte| !byte.is_ascii_alphabetic());
    end.is_some_and(|end| {
        end > 0
            && match ahead[end] {
                b' ' => true,
                b'.' | b',' | b':' | b';' | b'!' | b'?' => ahead.get(end + 1) == Some(&b' '),
                _ => false,
            }
    })
}

/// Whether the word that begins here has a digit, or may come to have one.
fn has_digit(place: Place<'_>) -> bool {
    for byte in place.ahead() {
        match byte {
            b'0'..=b'9' => return true,
            b' ' | b'\n' | b'"' | b'\'' | b'`' => return false,
            _ => {}
        }
    }
    true
}

/// What is said by what joins a name and a value in a sentence; nothing, where the text does not end so.
pub(super) fn joins(rest: &[u8]) -> Option<Said> {
    if let Some(before) = IS.iter().find_map(|is| rest.strip_suffix(is.as_bytes())) {
        return Some(match foreign(before) {
            Said::Nothing => match names(word(before)) {
                Said::Nothing => Said::Subject,
                said => said,
            },
            said => said,
        });
    }
    None
}

/// What a sentence says of the value behind its `is`, where the name is not right before that: `the password for the shop is `.
pub(super) fn about(behind: &[u8]) -> Said {
    static ENDS: Class = Class::from(b".,;:!?\"\n(){}=<>");
    let reach = last(behind, FARTHEST);
    let reach = match reach {
        [front @ .., b'"' | b'\'' | b'`'] => front,
        front => front,
    };
    let from = reach.iter().rposition(|byte| ENDS.has(*byte));
    let mut clause = reach[from.map_or(0, |at| at + 1)..].trim_ascii_end();
    for _ in 0..MOST_WORDS {
        let Some(space) = clause.iter().rposition(|byte| *byte == b' ') else {
            return Said::Nothing;
        };
        let preposition = PREPOSITIONS.contains(&&clause[space + 1..]);
        clause = &clause[..space];
        if preposition {
            match told(names(word(clause))) {
                Said::Nothing => {}
                said => return said,
            }
        }
    }
    Said::Nothing
}

/// What is said of a value in a sentence that a name alone does not say.
pub(super) fn told(said: Said) -> Said {
    match said {
        Said::Password => Said::Told,
        Said::Secret => Said::DrawnToken,
        _ => Said::Nothing,
    }
}

/// What the text behind a value says of it: `… is the api key`, `… as my password`. Nothing, if that depends on what comes.
pub(super) fn behind(rest: &[u8], whole: bool, joint: &[&[u8]]) -> Option<Said> {
    let rest = match rest {
        [b'"' | b'\'' | b'`', rest @ ..] => rest,
        rest => rest,
    };
    let begins = |word: &&&[u8]| rest.starts_with(word);
    let Some(joint) = joint.iter().find(begins) else {
        let open = joint.iter().any(|word| word.starts_with(rest));
        return (whole || !open).then_some(Said::Nothing);
    };
    let rest = &rest[joint.len()..];
    let reach = &rest[..rest.len().min(FARTHEST)];
    let part = |byte: &u8| byte.is_ascii_alphabetic() || b" -_".contains(byte);
    let end = reach.iter().position(|byte| !part(byte));
    if end.is_none() && reach.len() < FARTHEST && !whole {
        return None;
    }
    let words = &reach[..end.unwrap_or(reach.len())];
    let mut at = 0;
    for turn in 0..MOST_NAME {
        let length = words[at..].iter().position(|byte| *byte == b' ');
        let end = length.map_or(words.len(), |length| at + length);
        let one = &words[at..end];
        if turn == 0 && !ARTICLES.contains(&one) && told(names(one)) == Said::Nothing {
            return Some(Said::Nothing);
        }
        match told(names(word(&words[..end]))) {
            Said::Nothing => {}
            said => return Some(said),
        }
        if end == words.len() {
            break;
        }
        at = end + 1;
    }
    Some(Said::Nothing)
}

/// What the name says that stands right before a value in a sentence.
pub(super) fn bare(name: &[u8], rest: &[u8]) -> Said {
    let ends = |word: &[u8]| ends_with_word(name, word);
    if is_set_by(name, &rest[..rest.len() - name.len()]) {
        return match names(name) {
            Said::Password => Said::Variable,
            said => said,
        };
    }
    if (ends(b"token") || ends(b"secret")) && names(name) == Said::Secret {
        return Said::DrawnToken;
    }
    if ends(b"key") && names(word(rest)) == Said::Secret {
        return Said::DrawnToken;
    }
    Said::Nothing
}

/// Whether a text ends in a verb that changes and a password: `set the password `, `I have reset your root password `.
pub(super) fn changes(behind: &[u8]) -> bool {
    let Some(front) = behind.strip_suffix(b" ") else {
        return false;
    };
    let name = single(front);
    ends_with_word(name, b"password")
        && names(name) == Said::Password
        && front[..front.len() - name.len()]
            .rsplit(|byte| *byte == b' ')
            .take(MOST_NAME + 2)
            .any(|word| CHANGES.iter().any(|verb| word.eq_ignore_ascii_case(verb)))
}

/// Whether a text ends in such a sentence, up to the value: `set the password to `.
pub(super) fn is_set(behind: &[u8]) -> bool {
    let front = match behind {
        [front @ .., b'"' | b'\'' | b'`'] => front,
        front => front,
    };
    front.ends_with(b" to ")
        && front
            .windows(9)
            .enumerate()
            .any(|(at, part)| part.eq_ignore_ascii_case(b"password ") && changes(&front[..at + 9]))
}

/// Whether a name is that of a variable of the environment that a command sets: `ENV DB_PASSWORD `, `setx API_KEY `, `set -x API_KEY `.
fn is_set_by(name: &[u8], front: &[u8]) -> bool {
    let Some(front) = front.strip_suffix(b" ") else {
        return false;
    };
    let command = &front[front
        .iter()
        .rposition(|byte| b" \n\t`".contains(byte))
        .map_or(0, |at| at + 1)..];
    name.contains(&b'_') && is_of_environment(name) && SETTERS.contains(&command)
}

/// Whether a text ends in words for a user and a password together: `login: `, `creds `.
pub(super) fn is_login(front: &[u8]) -> bool {
    let front = match front {
        [front @ .., b' '] => front,
        _ => return false,
    };
    let front = front.strip_suffix(b":").unwrap_or(front);
    let name = single(front);
    LOGINS.iter().any(|login| name.eq_ignore_ascii_case(login))
}

/// The commands that set a variable, and their options.
const SETTERS: [&[u8]; 7] = [b"ENV", b"ARG", b"setx", b"setenv", b"-x", b"-gx", b"-Ux"];
/// What is done to a password that gets a value.
const CHANGES: [&[u8]; 10] = [
    b"set",
    b"sets",
    b"setting",
    b"reset",
    b"change",
    b"changed",
    b"changing",
    b"update",
    b"updated",
    b"rotated",
];
/// `is`, in the languages that names of passwords are in.
const IS: [&str; 6] = [" is", " ist", " est", " es", " é", " è"];
/// What stands between a secret and what it is for.
const PREPOSITIONS: [&[u8]; 6] = [b"for", b"on", b"of", b"to", b"in", b"at"];
const ARTICLES: [&[u8]; 12] = [
    b"the", b"my", b"our", b"your", b"its", b"their", b"a", b"an", b"his", b"her", b"this", b"new",
];
const LOGINS: [&[u8]; 5] = [b"creds", b"credentials", b"credential", b"login", b"logins"];
/// How many words there may be between a preposition and what ends the clause, and in a name with what is before it.
const MOST_WORDS: usize = 7;
const MOST_NAME: usize = 4;
/// A clause is looked for no farther.
const FARTHEST: usize = 64;
/// What stands between a value and its name.
pub(super) const AS: [&[u8]; 1] = [b" as "];
pub(super) const IS_OR_AS: [&[u8]; 2] = [b" is ", b" as "];
