//! How keys with a literal beginning begin.

use crate::place::Class;

/// The first one, two and three characters that a literal beginning may have, as sets that say too much yes.
#[derive(Debug)]
pub(super) struct Begins {
    first: Class,
    next: Class,
    three: Box<Bits>,
    /// Of a text that is not longer so far.
    fewer: Box<Bits>,
}

type Bits = [u64; 1024];

impl Begins {
    pub(super) fn new() -> Self {
        Self {
            first: Class::default(),
            next: Class::default(),
            three: Box::new([0; 1024]),
            fewer: Box::new([0; 1024]),
        }
    }

    pub(super) fn insert(&mut self, [a, b, c]: [u8; 3]) {
        let add = |all: &mut Bits, bit: usize| all[bit / 64] |= 1 << (bit % 64);
        self.first.add(a);
        self.next.add(b);
        add(&mut self.three, bit([a, b, c]));
        add(&mut self.fewer, bit([a, b, 0]));
        add(&mut self.fewer, bit([a, 0, 0]));
    }

    /// Whether a text may begin so.
    #[inline(always)]
    pub(super) fn may_begin(&self, text: &[u8], whole: bool) -> bool {
        match *text {
            [a, b, c, ..] => has(&self.three, [a, b, c]),
            [a, b] => !whole && has(&self.fewer, [a, b, 0]),
            [a] => !whole && has(&self.fewer, [a, 0, 0]),
            [] => false,
        }
    }

    /// The same, where few do: one character tells of most.
    #[inline(always)]
    pub(super) fn may_begin_rarely(&self, text: &[u8], whole: bool) -> bool {
        match *text {
            [a, b, ..] if !self.first.has(a) || !self.next.has(b) => false,
            _ => self.may_begin(text, whole),
        }
    }
}

#[inline]
fn has(all: &Bits, three: [u8; 3]) -> bool {
    let bit = bit(three);
    all[bit / 64] >> (bit % 64) & 1 == 1
}

/// 16 bits of the three.
#[inline]
pub(super) fn bit(three: [u8; 3]) -> usize {
    let [a, b, c] = three.map(u32::from);
    ((a << 10 ^ b << 5 ^ c ^ c << 11) & 0xFFFF) as usize
}
