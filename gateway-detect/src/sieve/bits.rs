//! What is asked of the bits of a window: runs, what comes soon, how far a run reaches, and numbers that begin in small letters.

use super::classes::Classes;

/// Where so many neighbours in a row begin, of at most 64; `ahead` follows `all`.
#[inline]
pub(super) fn runs(all: u64, ahead: u64, count: u32) -> u64 {
    // A run at the end goes on for as long as it may need, in copies of its last bit, until what is ahead says for how long.
    let copied = |all: u64, by: u32| (all.cast_signed() >> by).cast_unsigned();
    let (mut found, mut length) = (all, 1);
    while length * 2 <= count {
        found &= copied(found, length);
        length *= 2;
    }
    found &= copied(found, count - length);
    found & u64::MAX >> (count - 1).saturating_sub(ahead.trailing_ones())
}

/// Where one stands among the next 32; `ahead` follows `all`.
#[inline]
pub(super) fn soon(all: u64, ahead: u64) -> u64 {
    let here = (0..5).fold(all, |all, power| all | all >> (1 << power));
    here | u64::MAX
        .checked_shl(33 + ahead.trailing_zeros())
        .unwrap_or(0)
}

/// The places that are `starts`, or that as many of `through` as follow one reach, with the first behind them.
#[inline]
pub(super) fn reached(starts: u64, through: u64) -> u64 {
    // Adding a bit to a run of ones carries into each place behind it, up to the first behind the run.
    let from = starts & through;
    starts | through ^ from ^ through.wrapping_add(from)
}

/// Where a number in small letters may begin: up to six of them and a digit, two and a gap, or small letters
/// behind one or two digits. Of the last six places it is not told.
pub(super) fn small(here: &Classes) -> u64 {
    let low = here.alphanumeric & !here.digit & !here.upper;
    let (digit, gap) = (here.digit, here.space | here.joint);
    let letters = (1..6)
        .rev()
        .fold(digit >> 6, |found, far| digit >> far | low >> far & found);
    // `ab 12 34 56 c`
    let last = digit >> 5 | gap >> 5 & digit >> 6;
    let apart = low >> 1 & gap >> 2 & digit >> 3 & digit >> 4 & last;
    low & (letters | apart) | digit & (low >> 1 | digit >> 1 & low >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_where_they_begin() {
        let all: u64 = 0b0111_1110_0111_0110;
        assert_eq!(runs(all, 0, 1), all);
        assert_eq!(runs(all, 0, 2), 0b0011_1110_0011_0010);
        assert_eq!(runs(all, 0, 3), 0b0001_1110_0001_0000);
        assert_eq!(runs(all, 0, 6), 0b0000_0010_0000_0000);
        assert_eq!(runs(u64::MAX, u64::MAX, 40), u64::MAX);
        assert_eq!(runs(u64::MAX, 0, 40), u64::MAX >> 39);
        for (here, ahead) in [(4, 7), (4, 8), (4, 9), (0, 11), (0, 12), (11, 0), (12, 0)] {
            let (all, ahead) = (!(u64::MAX >> here), (1 << ahead) - 1);
            let both = u128::from(all) | u128::from(ahead) << 64;
            let expected = (0..12).fold(u128::MAX, |found, far| found & both >> far);
            assert_eq!(runs(all, ahead, 12), expected as u64, "{here} {ahead}");
        }
    }

    #[test]
    fn what_comes_soon_is_known_across_the_end() {
        assert_eq!(soon(1 << 40, 0), (1 << 41) - (1 << 9));
        assert_eq!(soon(0, 1), !0 << 33);
        assert_eq!(soon(0, 1 << 30), 1 << 63);
        assert_eq!(soon(0, 1 << 31), 0);
    }

    #[test]
    fn a_start_reaches_through_a_run_and_one_further() {
        assert_eq!(reached(0b0000_0100, 0b0001_1000), 0b0000_0100);
        assert_eq!(reached(0b0000_1000, 0b0001_1000), 0b0011_1000);
        assert_eq!(reached(0b0001_1000, 0b0001_1000), 0b0011_1000);
        assert_eq!(reached(0b0001_0000, 0b0001_1000), 0b0011_0000);
        assert_eq!(reached(1 << 62, 0b11 << 62), 0b11 << 62);
        assert_eq!(reached(0, u64::MAX), 0);
    }
}
