//! Which characters are read as ASCII, and which are not seen.
//!
//! Source: Unicode 16, compatibility decompositions and general categories Zs, Pd and Cf.

/// What a character is read as.
pub(super) enum Reading {
    Same,
    Hidden,
    To(u8),
}

/// What the character `code` is read as.
pub(super) fn reading(code: u32) -> Reading {
    let digit = |zero: u32| {
        u8::try_from(code - zero).map_or(Reading::Same, |value| Reading::To(b'0' + value % 10))
    };
    let letter = |first: u32| {
        let place = u8::try_from((code - first) % 52).unwrap_or_default();
        Reading::To(if place < 26 {
            b'A' + place
        } else {
            b'a' + place - 26
        })
    };
    let ascii = |first: u32, to: u8| {
        u8::try_from(code - first).map_or(Reading::Same, |place| Reading::To(to + place))
    };
    match code {
        0xA0 | 0x1680 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => Reading::To(b' '),
        0x2028 | 0x2029 | 0x85 => Reading::To(b'\n'),
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xFE58 | 0xFE63 => Reading::To(b'-'),
        0xAD
        | 0x34F
        | 0x61C
        | 0x115F
        | 0x1160
        | 0x17B4
        | 0x17B5
        | 0x180B..=0x180E
        | 0x200B..=0x200F => Reading::Hidden,
        0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 => {
            Reading::Hidden
        }
        0xE0001 | 0xE007F | 0xE0100..=0xE01EF => Reading::Hidden,
        0xE0020..=0xE007E => ascii(0xE0020, b' '),
        0xFF01..=0xFF5E => ascii(0xFF01, b'!'),
        0x2024 | 0xFE52 | 0x3002 | 0xFF61 => Reading::To(b'.'),
        0xFE6B => Reading::To(b'@'),
        0xFE50 | 0x201A => Reading::To(b','),
        0xFE55 | 0xA789 | 0x2236 => Reading::To(b':'),
        0x2044 | 0x2215 => Reading::To(b'/'),
        0x2018 | 0x2019 | 0x201B => Reading::To(b'\''),
        0x201C..=0x201F => Reading::To(b'"'),
        0x1D400..=0x1D6A3 => letter(0x1D400),
        0x1D7CE..=0x1D7FF => digit(0x1D7CE),
        0x660..=0x669 => digit(0x660),
        0x6F0..=0x6F9 => digit(0x6F0),
        0x966..=0x96F => digit(0x966),
        0x9E6..=0x9EF => digit(0x9E6),
        0x2080..=0x2089 => digit(0x2080),
        0x2074..=0x2079 => digit(0x2070),
        0x2070 => Reading::To(b'0'),
        0xB9 => Reading::To(b'1'),
        0xB2 => Reading::To(b'2'),
        0xB3 => Reading::To(b'3'),
        0x2460..=0x2468 => ascii(0x2460, b'1'),
        0x24EA => Reading::To(b'0'),
        0x24B6..=0x24CF => ascii(0x24B6, b'A'),
        0x24D0..=0x24E9 => ascii(0x24D0, b'a'),
        _ => Reading::Same,
    }
}
