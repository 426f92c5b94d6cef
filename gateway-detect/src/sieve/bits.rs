//! What is asked of the bits of a block: runs, what comes soon, what stands behind a run, and numbers that begin in small letters.

use super::classes::Classes;

/// Where so many neighbours in a row begin, of at most 64.
#[inline]
pub(super) fn runs(all: u128, count: u32) -> u128 {
    let (mut found, mut length) = (all, 1);
    while length * 2 <= count {
        found &= found >> length;
        length *= 2;
    }
    found & found >> (count - length)
}

/// Where one stands among the next, as many as this power of two.
#[inline]
pub(super) fn soon(all: u128, powers: u32) -> u128 {
    (0..powers).fold(all, |all, power| all | all >> (1 << power))
}

/// The places behind `starts`, after as many of `through` as follow each, and whether one of those runs goes on behind the last place.
#[inline]
pub(super) fn behind_run(starts: u64, through: u64) -> (u64, bool) {
    // Adding a bit to a run of ones clears them up to its end and sets the bit behind it.
    let (sum, over) = through.overflowing_add(starts & through);
    ((starts | sum) & !through, over)
}

/// Where a number in small letters may begin: up to six of them and a digit, two and a gap, or small letters
/// behind one or two digits.
pub(super) fn small(here: &Classes, ahead: &Classes) -> u64 {
    let after = |one: u64, next: u64, far: u32| one >> far | next << (64 - far);
    let lower = |all: &Classes| all.alphanumeric & !all.digit & !all.upper;
    let (low, low_ahead) = (lower(here), lower(ahead));
    let digit = |far| after(here.digit, ahead.digit, far);
    let letter = |far| after(low, low_ahead, far);
    let letters = (1..6)
        .rev()
        .fold(digit(6), |found, far| digit(far) | letter(far) & found);
    // `ab 12 34 56 c`
    let gap = |far| after(here.space | here.joint, ahead.space | ahead.joint, far);
    let apart = letter(1) & gap(2) & digit(3) & digit(4) & (digit(5) | gap(5) & digit(6));
    low & (letters | apart) | here.digit & (letter(1) | digit(1) & letter(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_where_they_begin() {
        let all: u128 = 0b0111_1110_0111_0110;
        assert_eq!(runs(all, 1), all);
        assert_eq!(runs(all, 2), 0b0011_1110_0011_0010);
        assert_eq!(runs(all, 3), 0b0001_1110_0001_0000);
        assert_eq!(runs(all, 6), 0b0000_0010_0000_0000);
        assert_eq!(runs(u128::MAX, 40) as u64, u64::MAX);
        assert_eq!(soon(1 << 40, 5), (1 << 41) - (1 << 9));
    }

    #[test]
    fn what_stands_behind_a_run_is_found_and_whether_it_goes_on() {
        assert_eq!(behind_run(0b0000_0100, 0b0001_1000), (0b0000_0100, false));
        assert_eq!(behind_run(0b0000_1000, 0b0001_1000), (0b0010_0000, false));
        assert_eq!(behind_run(0b0001_1000, 0b0001_1000), (0b0010_0000, false));
        assert_eq!(behind_run(1 << 62, 0b11 << 62), (0, true));
        assert_eq!(behind_run(0, u64::MAX), (0, false));
    }
}
