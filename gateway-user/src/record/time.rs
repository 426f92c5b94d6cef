//! Points in time as the ledger writes them: unix milliseconds in rows, RFC 3339 in UTC with milliseconds everywhere else.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::calendar::civil;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Prints and serialises as `2026-11-20T11:39:28.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Time(i64);

/// The text is not a time as the ledger prints it.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a time such as 2026-11-20T11:39:28.000Z")]
pub struct TimeError(String);

impl Time {
    /// The wall clock, now.
    pub fn now() -> Self {
        Self(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        })
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, passed: Duration) -> Self {
        Self(self.0.saturating_add(millis(passed)))
    }

    /// So much earlier.
    #[must_use]
    pub fn minus(self, passed: Duration) -> Self {
        Self(self.0.saturating_sub(millis(passed)))
    }

    /// The wall-clock time of a kernel fact that counts from boot (`CLOCK_BOOTTIME`, as in `/proc/PID/stat`), to about 10 ms.
    /// Without `/proc/uptime` it counts from 1970, which nobody takes for a date.
    pub fn since_boot(passed: Duration) -> Self {
        let uptime = std::fs::read_to_string("/proc/uptime");
        let uptime = uptime.ok().and_then(|text| {
            let seconds = text.split_whitespace().next()?;
            Duration::try_from_secs_f64(seconds.parse().ok()?).ok()
        });
        let booted = uptime.map_or(0, |uptime| Self::now().0 - millis(uptime));
        Self(booted.saturating_add(millis(passed)))
    }

    /// From unix milliseconds.
    pub fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// When its month began, in UTC.
    pub fn month_began(self) -> Self {
        let days = self.0.div_euclid(DAY_MS);
        let (_, _, day) = civil(days);
        Self((days - day + 1) * DAY_MS)
    }

    /// As unix milliseconds.
    pub fn unix_ms(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        let (year, month, day) = civil(days);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z",
            ms % 1000
        )
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError(text.to_owned());
        if text.len() != "2026-11-20T11:39:28.000Z".len() || !text.is_ascii() {
            return Err(bad());
        }
        let number = |from: usize, to: usize| {
            let digits = &text[from..to];
            match digits.bytes().all(|b| b.is_ascii_digit()) {
                true => digits.parse::<i64>().map_err(|_| bad()),
                false => Err(bad()),
            }
        };
        let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let clock = number(11, 13)? * 3_600_000 + number(14, 16)? * 60_000;
        let time = Self(days * DAY_MS + clock + number(17, 19)? * 1000 + number(20, 23)?);
        // Printing again rejects the 31st of February, hour 25 and wrong punctuation in one comparison.
        (time.to_string() == text).then_some(time).ok_or_else(bad)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The inverse of [`civil`] (`days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const DAY_MS: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn prints_what_date_prints() {
        // Each right-hand side is the output of `date -u -d @SECONDS +%FT%TZ`, with the milliseconds put in.
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_795_174_768_007, "2026-11-20T11:39:28.007Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Time::from_unix_ms(ms).to_string(), text);
            assert_eq!(text.parse::<Time>().unwrap().unix_ms(), ms);
        }
    }

    #[test]
    fn boot_is_before_now_by_the_uptime() {
        let boot = Time::since_boot(Duration::ZERO);
        let text = std::fs::read_to_string("/proc/stat").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("btime "));
        let btime: i64 = line.unwrap().trim().parse().unwrap();
        // The kernel gives whole seconds here.
        assert!((boot.unix_ms() / 1000 - btime).abs() <= 1);
        let later = Time::since_boot(Duration::from_secs(5));
        assert!((later.unix_ms() - boot.unix_ms() - 5000).abs() < 1000);
    }

    #[test]
    fn a_month_begins_with_its_first_day() {
        for (time, began) in [
            ("2026-11-26T01:02:03.004Z", "2026-11-01T00:00:00.000Z"),
            ("2024-03-01T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
            ("2024-02-29T23:59:59.999Z", "2024-02-01T00:00:00.000Z"),
        ] {
            let time: Time = time.parse().unwrap();
            assert_eq!(time.month_began().to_string(), began);
        }
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in -146_097..146_097 {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
            assert!((1..=12).contains(&m) && (1..=31).contains(&d));
        }
    }

    #[test]
    fn refuses_what_it_does_not_print() {
        for text in [
            "",
            "2026-11-20",
            "2026-02-30T00:00:00.000Z",
            "2026-11-20T24:00:00.000Z",
            "2026-11-20 11:39:28.000Z",
            "2026-11-20T11:39:28.000+",
            "+026-11-20T11:39:28.000Z",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
