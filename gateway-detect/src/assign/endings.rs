//! By their last letters, most names are none of secrets.

use super::names::{PASSWORDS, PHRASES, SECRETS};

/// Whether a text can end in one of these names, in `value` or `default`, by its last letters.
#[inline]
pub(super) fn may_name(text: &[u8]) -> bool {
    matches!(
        text,
        [.., b'p' | b'P', b'w' | b'W'] | [.., b'u' | b'U', b'e' | b'E'] | [.., b'u', b'l', b't']
    ) || may_end_so(text)
}

/// Whether the last five letters are those of one of these names, or all letters of a shorter one: most names are left here, by three.
pub(super) fn may_end_so(name: &[u8]) -> bool {
    static THREE: Endings = of_secrets(3);
    static FIVE: Endings = of_secrets(5);
    const SHORT: [u32; 3] = [last(b"pwd", 3), last(b"key", 3), last(b"psk", 3)];
    const FOUR: [u32; 3] = [last(b"pass", 4), last(b"auth", 4), last(b"pswd", 4)];
    if let Some(end) = name.last_chunk::<3>()
        && end.iter().all(u8::is_ascii_alphabetic)
        && !THREE.has(last(end, 3))
    {
        return false;
    }
    let mut letters = name.iter().rev().filter(|byte| byte.is_ascii_alphabetic());
    let mut letter = || letters.next().map(|byte| u32::from(byte & 31));
    let (Some(one), Some(two), Some(three)) = (letter(), letter(), letter()) else {
        return false;
    };
    let end = three << 10 | two << 5 | one;
    if !THREE.has(end) {
        return false;
    }
    if SHORT.contains(&end) {
        return true;
    }
    let end = letter().map_or(0, |four| four << 15 | end);
    FOUR.contains(&end) || letter().is_some_and(|five| FIVE.has(five << 20 | end))
}

/// So many letters of each name.
const fn of_secrets(count: usize) -> Endings {
    // Variables of the environment end in `key`.
    Endings::new()
        .and(&["key"], count)
        .and(&PASSWORDS, count)
        .and(&SECRETS, count)
        .and(&PHRASES, count)
}

/// The last letters of names, as a set that says too much yes. A bit each: what is often looked into has to be small.
pub(crate) struct Endings([u64; 64]);

impl Endings {
    pub(crate) const fn new() -> Self {
        Self([0; 64])
    }

    /// Adds so many letters of each name that has them.
    pub(crate) const fn and(mut self, names: &[&str], count: usize) -> Self {
        let mut at = 0;
        while at < names.len() {
            let name = names[at].as_bytes();
            if name.len() >= count {
                let bit = Self::bit(last(name, count));
                self.0[bit / 64] |= 1 << (bit % 64);
            }
            at += 1;
        }
        self
    }

    pub(crate) const fn has(&self, letters: u32) -> bool {
        let bit = Self::bit(letters);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The upper twelve bits of a product that mixes the letters.
    const fn bit(letters: u32) -> usize {
        (letters.wrapping_mul(0x9E37_79B1) >> 20) as usize
    }
}

/// The last letters of a name, five bits for each: the case is not among them.
pub(crate) const fn last(name: &[u8], count: usize) -> u32 {
    let (mut letters, mut at) = (0, name.len() - count);
    while at < name.len() {
        letters = letters << 5 | name[at] as u32 & 31;
        at += 1;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_as_they_may() {
        for name in PASSWORDS.iter().chain(&SECRETS).chain(&PHRASES) {
            for text in [(*name).to_owned(), format!("my_{}1", name.to_uppercase())] {
                assert!(may_end_so(text.as_bytes()), "{text}");
            }
        }
        for name in ["class", "description", "action", "host", "ss", ""] {
            assert!(!may_end_so(name.as_bytes()), "{name}");
        }
    }
}
