//! Numbers that belong to people, companies and devices: what `people.txt` describes by masks, checks and words.
//!
//! In: a place at the start of a word. Out: whether such a number stands there, by itself: not inside a longer one, a decimal, a UUID or
//! a path. Small letters are taken for capitals behind a word. All masks are one automaton, made of the sets of masks that may still match, so that most places are left after a byte or two.

use std::collections::HashMap;

use super::Detector;
use super::checks::{self, Check};
use super::place::{LOOKBEHIND, Place, Verdict, last, last_words, unanswered};
use super::table::Table;
use super::words::{Beginnings, Words, after};

/// All rows of the table.
#[derive(Debug)]
pub(super) struct People {
    pub(super) rows: Vec<Row>,
    masks: Vec<Mask>,
    /// Of each state the next one by the kind of a byte, with [`ENDS`] where masks end there.
    next: Vec<[u16; KINDS.len() + 3]>,
    /// The masks that end in each state.
    ends: Vec<Vec<usize>>,
}

/// One kind of number.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) detector: Detector,
    check: Check,
    /// The check proves something: small letters count as capitals, behind a word.
    proves: bool,
    pub(super) words: Vec<usize>,
    /// How its words begin, where each begins with three letters.
    begins: Option<Begins>,
}

/// Words up to their first space.
#[derive(Debug)]
struct Begins {
    set: Beginnings,
    all: Vec<Vec<u8>>,
}

/// One way to write it.
#[derive(Debug)]
pub(super) struct Mask {
    pub(super) row: usize,
    pub(super) text: Vec<u8>,
    /// It counts without a word.
    pub(super) strong: bool,
}

/// What a mask may have beside digits and letters.
const KINDS: &[u8] = b" -./+()";
/// In a mask: any sign that parts of a number are separated by.
pub(super) const ANY_SIGN: u8 = b'~';
const DIGIT: usize = KINDS.len();
const LETTER: usize = DIGIT + 1;
/// The state of what no mask begins with.
const DEAD: u16 = 0;
const START: u16 = 1;
/// Set of the number of a state where masks end.
const ENDS: u16 = 1 << 15;
/// Longer than any mask.
const LONGEST: usize = 32;
/// How far before a number a word may stand.
const NEAR: usize = 64;

impl People {
    /// Adds a row; see `people.txt`.
    pub(super) fn read(
        rows: &mut Vec<Row>,
        masks: &mut Vec<Mask>,
        words: &mut Words,
        detector: Detector,
        row: [&str; 3],
    ) -> Option<()> {
        let [all, check, said] = row;
        let proves = !matches!(check, "any" | "bic");
        // The sign says something.
        let written = matches!(check, "dob" | "hetu" | "pnr");
        for mask in all.split_whitespace() {
            let (strong, text) = mask
                .strip_prefix('!')
                .map_or((false, mask), |mask| (true, mask));
            let text = text.replace('_', " ").into_bytes();
            let known = text
                .iter()
                .all(|byte| KINDS.contains(byte) || matches!(byte, b'd' | b'A' | b'X'));
            if !known || text.len() > LONGEST {
                return None;
            }
            // Behind a word, what proves itself may have another sign between its parts.
            let loosened = proves && !written && has_one_sign(&text);
            let loose: Vec<u8> = text
                .iter()
                .map(|byte| match byte {
                    b' ' | b'-' | b'.' | b'/' if loosened => ANY_SIGN,
                    other => *other,
                })
                .collect();
            let row = rows.len();
            let mut add = |text: Vec<u8>, strong| {
                let same =
                    |mask: &Mask| (mask.row, &mask.text, mask.strong) == (row, &text, strong);
                if !masks.iter().any(same) {
                    masks.push(Mask { row, text, strong });
                }
            };
            if strong {
                add(text.clone(), true);
            }
            if !strong || loose != text {
                add(loose, false);
            }
        }
        let check = checks::named(check)?;
        let mut begins = Some(Begins {
            set: Beginnings::new(),
            all: Vec::new(),
        });
        for word in said.split(',').map(str::as_bytes) {
            let first = word.split(|byte| *byte == b' ').next().unwrap_or_default();
            begins = begins.and_then(|begins| begins.with(first));
        }
        let words = said.split(',').map(|word| words.number(word)).collect();
        rows.push(Row {
            detector,
            check,
            proves,
            words,
            begins,
        });
        Some(())
    }

    pub(super) fn new(rows: Vec<Row>, masks: Vec<Mask>) -> Self {
        let (mut next, mut ends) = (vec![[DEAD; KINDS.len() + 3]], vec![Vec::new()]);
        let mut known: HashMap<(usize, Vec<usize>), u16> = HashMap::new();
        let mut open = vec![(0, (0..masks.len()).collect::<Vec<_>>())];
        known.insert(open[0].clone(), START);
        let mut done = 0;
        while let Some((at, alive)) = open.get(done).cloned() {
            let here = |mask: &usize| masks[*mask].text.len() == at;
            ends.push(alive.iter().copied().filter(here).collect());
            let mut state = [DEAD; KINDS.len() + 3];
            for (kind, after) in state.iter_mut().enumerate().take(KINDS.len() + 2) {
                let fits = |byte: u8| match byte {
                    b'd' => kind == DIGIT,
                    b'A' => kind == LETTER,
                    b'X' => kind == DIGIT || kind == LETTER,
                    ANY_SIGN => KINDS.get(kind).is_some_and(|sign| b" -./".contains(sign)),
                    other => KINDS.get(kind) == Some(&other),
                };
                let left: Vec<usize> = alive
                    .iter()
                    .copied()
                    .filter(|&mask| masks[mask].text.get(at).copied().is_some_and(fits))
                    .collect();
                if !left.is_empty() {
                    let fresh = u16::try_from(open.len() + 1).unwrap_or(DEAD);
                    let known = *known.entry((at + 1, left.clone())).or_insert(fresh);
                    if known == fresh {
                        open.push((at + 1, left));
                    }
                    *after = known;
                }
            }
            next.push(state);
            done += 1;
        }
        debug_assert!(next.len() < usize::from(ENDS), "too many states");
        for state in next.iter_mut().flatten() {
            if !ends[usize::from(*state)].is_empty() {
                *state |= ENDS;
            }
        }
        Self {
            rows,
            masks,
            next,
            ends,
        }
    }

    /// What stands here.
    pub(super) fn at(&self, place: Place<'_>, words: &Words, table: &mut Table) -> Verdict {
        if !may_start(place) {
            return Verdict::No;
        }
        // Beside a comma and a digit it is a number only in a table.
        let listed = matches!(place.behind(), [.., b'0'..=b'9', b',']);
        let ahead = place.ahead();
        let mut state = START;
        let mut ends = [(0_u8, 0); LONGEST];
        let mut count = 0;
        let mut at = 0;
        loop {
            let current = usize::from(state & !ENDS);
            if state & ENDS != 0 {
                match may_end(&ahead[at..], place.whole) {
                    None => return Verdict::More,
                    Some(true) => {
                        ends[count] = (at as u8, current);
                        count += 1;
                    }
                    Some(false) => {}
                }
            }
            let Some(&byte) = ahead.get(at) else {
                if place.whole {
                    break;
                }
                return Verdict::More;
            };
            state = self.next[current][kind(byte)];
            if state == DEAD {
                break;
            }
            at += 1;
        }
        let mut said = None;
        for &(end, state) in ends[..count].iter().rev() {
            let mut capitals = [0_u8; LONGEST];
            let written = &mut capitals[..usize::from(end)];
            written.copy_from_slice(&ahead[..usize::from(end)]);
            let small = written.iter().any(u8::is_ascii_lowercase);
            if small && (written.iter().any(u8::is_ascii_uppercase) || !is_small(written)) {
                continue;
            }
            written.make_ascii_uppercase();
            let written = &*written;
            let mut plain = [0_u8; LONGEST];
            let mut length = 0;
            for &byte in written.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
                plain[length] = byte;
                length += 1;
            }
            for &mask in &self.ends[state] {
                let Mask {
                    row,
                    strong,
                    ref text,
                } = self.masks[mask];
                let row = &self.rows[row];
                let uneven = text.contains(&ANY_SIGN) && !has_one_sign(written);
                if small && !row.proves || uneven || !(row.check)(written, &plain[..length]) {
                    continue;
                }
                let near = || {
                    let mut room = [0; LOOKBEHIND];
                    let behind = unanswered(place.behind(), &mut room);
                    words.said(last_words(behind, NEAR))
                };
                let listed = listed || matches!(ahead[usize::from(end)..], [b',', b'0'..=b'9', ..]);
                if !listed && strong && !small
                    || !listed
                        && (said.is_some() || row.may_be_said(place))
                        && said.get_or_insert_with(near).any(&row.words)
                    || table.said(place, written.len(), words).any(&row.words)
                {
                    return Verdict::Match(row.detector, written.len());
                }
                match after::said(&ahead[usize::from(end)..], place.whole, words) {
                    Some(said) if !small && said.any(&row.words) => {
                        return Verdict::Match(row.detector, written.len());
                    }
                    Some(_) => {}
                    None => return Verdict::More,
                }
            }
        }
        Verdict::No
    }

    /// The masks of a row.
    #[cfg(test)]
    pub(super) fn masks(&self, row: usize) -> impl Iterator<Item = &Mask> {
        self.masks.iter().filter(move |mask| mask.row == row)
    }
}

/// Whether a number in small letters may begin so, as the [sieve](crate::sieve) has it: `is 85` are words.
fn is_small(text: &[u8]) -> bool {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let low = |at: usize| text.get(at).is_some_and(u8::is_ascii_lowercase);
    let gap = |at: usize| text.get(at).is_some_and(|byte| b" -_./+".contains(byte));
    match (0..7).take_while(|at| low(*at)).count() {
        0 => digit(0) && (low(1) || digit(1) && low(2)),
        letters if letters < 7 && digit(letters) => true,
        2 if PARTICLES.contains(&&text[..2]) => false,
        2 => gap(2) && digit(3) && digit(4) && (digit(5) || gap(5) && digit(6)),
        _ => false,
    }
}

/// Words of two letters that stand before numbers.
const PARTICLES: [&[u8]; 8] = [b"is", b"no", b"nr", b"at", b"in", b"of", b"on", b"to"];

impl Row {
    /// Whether one of its words may stand shortly before a place: it is cheaper to see that none does.
    fn may_be_said(&self, place: Place<'_>) -> bool {
        let near = last(place.behind(), NEAR);
        let begins = self.begins.as_ref();
        begins.is_none_or(|begins| begins.set.any_of(near, &begins.all))
    }
}

impl Begins {
    /// Adds a word, if it has three letters.
    fn with(mut self, word: &[u8]) -> Option<Self> {
        if word.len() < 3 {
            return None;
        }
        self.set.add(word);
        self.all.push(word.to_vec());
        Some(self)
    }
}

/// Whether the parts of a number are all separated alike.
fn has_one_sign(written: &[u8]) -> bool {
    let mut signs = written.iter().filter(|byte| !byte.is_ascii_alphanumeric());
    let first = signs.next();
    signs.all(|sign| Some(sign) == first)
}

#[cfg(test)]
impl Row {
    pub(super) fn accepts(&self, written: &[u8], plain: &[u8]) -> bool {
        (self.check)(written, plain)
    }
}

#[inline]
fn kind(byte: u8) -> usize {
    static KIND: [u8; 256] = {
        // What has no kind has that of a full stop behind all: no mask has it.
        let mut all = [(LETTER + 1) as u8; 256];
        let mut byte = 0;
        while byte < 256 {
            if (byte as u8).is_ascii_digit() {
                all[byte] = DIGIT as u8;
            } else if (byte as u8).is_ascii_alphabetic() {
                all[byte] = LETTER as u8;
            }
            byte += 1;
        }
        let mut at = 0;
        while at < KINDS.len() {
            all[KINDS[at] as usize] = at as u8;
            at += 1;
        }
        all
    };
    usize::from(KIND[usize::from(byte)])
}

/// Not in a longer number, a decimal, a UUID, a path, a telephone number.
fn may_start(place: Place<'_>) -> bool {
    match place.behind() {
        [.., before, b'-'] => !before.is_ascii_alphanumeric(),
        [.., before, b'.' | b'/' | b'_'] => !before.is_ascii_digit(),
        [.., b'+' | b'$'] => false,
        _ => true,
    }
}

/// Whether a number may end before `rest`; `None` while that is open.
fn may_end(rest: &[u8], whole: bool) -> Option<bool> {
    match rest {
        [] | [b'-' | b'.' | b'/' | b','] if !whole => None,
        [next, ..] if next.is_ascii_alphanumeric() || *next == b'_' => Some(false),
        [b'-', after, ..] => Some(!after.is_ascii_alphanumeric()),
        [b'.' | b'/', after, ..] => Some(!after.is_ascii_digit()),
        _ => Some(true),
    }
}
