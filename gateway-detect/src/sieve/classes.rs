//! Sixty-four bytes at a time: which of them are in which class, a bit for each.
//!
//! In: a text and an offset. Out: [`Classes`]. The bytes are turned into eight words of 64 bits, one for each weight of a bit, and the
//! classes are made of these by Boolean operations: four hundred of them for 64 bytes, none of which branches or looks anything up.

/// Bit `n` of each tells of the byte `n` behind the offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) alphanumeric: u64,
    pub(super) digit: u64,
    pub(super) upper: u64,
    pub(super) hex: u64,
    /// What long keys are made of, see [`super::super::decide`].
    pub(super) reach: u64,
    /// What encoded texts are made of.
    pub(super) run: u64,
    /// What AWS secrets are made of.
    pub(super) secret: u64,
    /// What numbers of people are made of.
    pub(super) number: u64,
    /// What lines of passports are made of.
    pub(super) passport: u64,
    /// Behind these a key does not begin.
    pub(super) joint: u64,
    pub(super) name: u64,
    /// What a value may begin with, and some more.
    pub(super) first: u64,
    /// Quotes and spaces.
    pub(super) quiet: u64,
    /// What stands between a name and its value.
    pub(super) separator: u64,
    /// What an international or a bracketed number begins with.
    pub(super) open: u64,
    pub(super) colon: u64,
    /// Commas and semicolons.
    pub(super) comma: u64,
    pub(super) left: u64,
    pub(super) quote: u64,
    pub(super) hyphen: u64,
    pub(super) sign: u64,
    pub(super) star: u64,
    /// The second bytes of `è` and `é`.
    pub(super) accent: u64,
    pub(super) space: u64,
    pub(super) zero: u64,
    pub(super) x: u64,
    /// Letters of either case.
    pub(super) b: u64,
    pub(super) c: u64,
    pub(super) d: u64,
    pub(super) e: u64,
    pub(super) g: u64,
    pub(super) i: u64,
    pub(super) k: u64,
    pub(super) n: u64,
    pub(super) p: u64,
    pub(super) r: u64,
    pub(super) s: u64,
    pub(super) t: u64,
    pub(super) y: u64,
}

impl Classes {
    /// Reads the 64 bytes at `at`, which is in the text. Behind the end of a whole text nothing is in any class, behind that of one that goes on all are in each.
    pub(super) fn read(&mut self, text: &[u8], at: usize, whole: bool) {
        let rest = &text[at..];
        if let Some(block) = rest.first_chunk() {
            return self.read_block(block);
        }
        let before = 64 - rest.len();
        if let Some(block) = text.last_chunk() {
            self.read_block(block);
        } else {
            let mut block = [0; 64];
            block[before..].copy_from_slice(rest);
            self.read_block(&block);
        }
        let beyond = if whole { 0 } else { !(u64::MAX >> before) };
        self.behind(before, beyond);
    }

    fn read_block(&mut self, block: &[u8; 64]) {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = planes(block);
        // By their upper and lower four bits.
        let ascii = !b7;
        let (pair, four) = (
            [!b1 & !b0, !b1 & b0, b1 & !b0, b1 & b0],
            [!b3 & !b2, !b3 & b2, b3 & !b2, b3 & b2],
        );
        let low = |bits: usize| four[bits >> 2] & pair[bits & 3];
        let (control, sign) = (ascii & !b6 & !b5 & !b4, ascii & !b6 & b5 & !b4);
        let number = ascii & !b6 & b5 & b4;
        let (early, late) = (ascii & b6 & !b4, ascii & b6 & b4);
        let (lower_late, upper_late) = (late & b5, late & !b5);

        let digit = number & !(b3 & (b2 | b1));
        let letter = early & !low(0) | late & !(b3 & (b2 | b1 & b0));
        let alphanumeric = digit | letter;
        let upper = letter & !b5;
        let (space, left, right) = (sign & low(0), sign & low(8), sign & low(9));
        let (plus, hyphen) = (sign & low(11), sign & low(13));
        let (dot, slash) = (sign & low(14), sign & low(15));
        let (comma, dollar) = (sign & low(12) | number & low(11), sign & low(4));
        let (colon, less) = (number & low(10), number & low(12));
        let (equal, greater) = (number & low(13), number & low(14));
        let under = upper_late & low(15);
        let quotes = sign & (low(2) | low(7)) | early & b5 & low(0);
        let breaks = control & (low(9) | low(10) | low(11) | low(12) | low(13));
        let secret = alphanumeric | plus | slash;
        let lines = under | hyphen;
        let joint = lines | dot | plus | slash;
        let open = plus | left;
        *self = Self {
            alphanumeric,
            digit,
            upper,
            hex: digit | early & !low(0) & !b3 & !(b2 & b1 & b0),
            reach: alphanumeric
                | joint
                | colon
                | equal
                | less
                | dollar
                | lower_late & (low(12) | low(14)),
            run: secret | lines,
            secret,
            number: digit | upper | space | hyphen | dot | slash | open | right,
            passport: digit | upper | less,
            joint,
            name: alphanumeric | lines | dot,
            first: ascii & (b6 | b5) & !space & !(lower_late & low(15)),
            quiet: quotes | space | breaks,
            separator: colon | equal | greater | left | lower_late & low(12),
            open,
            colon,
            comma,
            left,
            quote: quotes,
            hyphen,
            sign: early & !b5 & low(0),
            star: sign & low(10),
            accent: b7 & !b6 & b5 & !b4 & (low(8) | low(9)),
            space,
            zero: number & low(0),
            x: lower_late & low(8),
            b: early & low(2),
            c: early & low(3),
            d: early & low(4),
            e: early & low(5),
            g: early & low(7),
            i: early & low(9),
            k: early & low(11),
            n: early & low(14),
            p: late & low(0),
            r: late & low(2),
            s: late & low(3),
            t: late & low(4),
            y: late & low(9),
        };
    }
}

macro_rules! every_class {
    ($($class:ident),*) => {
        impl Classes {
            /// What is behind so many bits, and `beyond`.
            fn behind(&mut self, bits: usize, beyond: u64) {
                $(self.$class = self.$class >> bits | beyond;)*
            }

            #[cfg(test)]
            fn or(mut self, other: &Self, bits: u64) -> Self {
                $(self.$class |= other.$class & bits;)*
                self
            }
        }
    };
}

every_class!(
    alphanumeric,
    digit,
    upper,
    hex,
    reach,
    run,
    secret,
    number,
    passport,
    joint,
    name,
    first,
    quiet,
    separator,
    open,
    colon,
    comma,
    left,
    quote,
    hyphen,
    sign,
    star,
    accent,
    space,
    zero,
    x,
    b,
    c,
    d,
    e,
    g,
    i,
    k,
    n,
    p,
    r,
    s,
    t,
    y
);

/// The bits of the bytes, by their weight: bit `n` of `planes[w]` is bit `w` of the byte `n`.
#[inline]
fn planes(block: &[u8; 64]) -> [u64; 8] {
    let mut rows = [0_u64; 8];
    for (row, bytes) in rows.iter_mut().zip(block.as_chunks::<8>().0) {
        *row = turned(u64::from_le_bytes(*bytes));
    }
    // Byte `w` of row `n` goes to byte `n` of plane `w`: a matrix of bytes is turned in three steps.
    for step in [1_usize, 2, 4] {
        let shift = 8 * step as u32;
        let mask = match step {
            1 => 0x00FF_00FF_00FF_00FF,
            2 => 0x0000_FFFF_0000_FFFF,
            _ => 0x0000_0000_FFFF_FFFF,
        };
        for at in (0..8).filter(|at| at & step == 0) {
            let (one, other) = (rows[at], rows[at + step]);
            rows[at] = one & mask | (other & mask) << shift;
            rows[at + step] = one >> shift & mask | other & !mask;
        }
    }
    rows
}

/// A matrix of 8 by 8 bits, its rows and columns changed for each other.
#[inline]
fn turned(mut bits: u64) -> u64 {
    for (shift, mask) in [
        (7, 0x00AA_00AA_00AA_00AA),
        (14, 0x0000_CCCC_0000_CCCC),
        (28, 0x0000_0000_F0F0_F0F0),
    ] {
        let moved = (bits ^ bits >> shift) & mask;
        bits ^= moved ^ moved << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes of a block in which every byte is the same.
    fn of_byte(byte: u8) -> Classes {
        let all = |is: bool| if is { u64::MAX } else { 0 };
        let among = |others: &[u8]| all(others.contains(&byte));
        let letter = |letter: u8| all(byte.eq_ignore_ascii_case(&letter));
        let alphanumeric = all(byte.is_ascii_alphanumeric());
        let (digit, upper) = (all(byte.is_ascii_digit()), all(byte.is_ascii_uppercase()));
        Classes {
            alphanumeric,
            digit,
            upper,
            hex: all(byte.is_ascii_hexdigit()),
            reach: alphanumeric | among(b"+/_-.:~|=<$"),
            run: alphanumeric | among(b"+/_-"),
            secret: alphanumeric | among(b"+/"),
            number: digit | upper | among(b" -./+()"),
            passport: digit | upper | among(b"<"),
            joint: among(b"-_./+"),
            name: alphanumeric | among(b"_-."),
            first: all(byte.is_ascii_graphic()),
            quiet: among(b"\"'` \t\n\x0B\x0C\r"),
            separator: among(b"=:>(|"),
            open: among(b"+("),
            colon: among(b":"),
            comma: among(b",;"),
            left: among(b"("),
            quote: among(b"\"'`"),
            hyphen: among(b"-"),
            sign: among(b"@"),
            star: among(b"*"),
            accent: among(b"\xA8\xA9"),
            space: among(b" "),
            zero: among(b"0"),
            x: among(b"x"),
            b: letter(b'b'),
            c: letter(b'c'),
            d: letter(b'd'),
            e: letter(b'e'),
            g: letter(b'g'),
            i: letter(b'i'),
            k: letter(b'k'),
            n: letter(b'n'),
            p: letter(b'p'),
            r: letter(b'r'),
            s: letter(b's'),
            t: letter(b't'),
            y: letter(b'y'),
        }
    }

    #[test]
    fn bytes_are_in_their_classes() {
        for start in 0..=255_u8 {
            let block: [u8; 64] = std::array::from_fn(|at| start.wrapping_add((at * 7) as u8));
            let each = block.iter().enumerate();
            let expected = each.fold(Classes::default(), |all, (at, byte)| {
                all.or(&of_byte(*byte), 1 << at)
            });
            let mut classes = Classes::default();
            classes.read_block(&block);
            assert_eq!(classes, expected, "from {start}");
        }
    }

    #[test]
    fn behind_the_end_is_nothing_or_anything() {
        for before in [0, 61, 100] {
            let text = format!("{}ab1", "z9".repeat(before)).into_bytes();
            let of = |at: usize, whole| {
                let mut classes = Classes::default();
                classes.read(&text, 2 * before + at, whole);
                classes
            };
            assert_eq!(of(0, true).alphanumeric, 0b111);
            assert_eq!(of(0, true).digit, 0b100);
            assert_eq!(of(0, false).alphanumeric, u64::MAX);
            assert_eq!(of(2, false).digit, u64::MAX);
            assert_eq!(of(0, false).digit, !0b11);
        }
    }
}
