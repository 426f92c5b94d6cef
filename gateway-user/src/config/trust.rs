//! How long the CAs of workloads live.

use std::time::Duration;

use super::{ConfigError, raw};

/// The life of a CA, and what becomes of it when, in percent of that life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// From when a CA is made to when it is no longer valid.
    pub ca_life: Duration,
    /// When the next is made and given to whoever has this one.
    pub next_at: u8,
    /// When the next signs instead of this one.
    pub switch_at: u8,
}

impl Trust {
    pub(super) fn check(raw: &raw::Trust) -> Result<Self, ConfigError> {
        let bad = || ConfigError::CaLife {
            text: raw.ca_life.clone(),
        };
        let ca_life = duration(&raw.ca_life).ok_or_else(bad)?;
        if !(SHORTEST..=LONGEST).contains(&ca_life) {
            return Err(bad());
        }
        let (next_at, switch_at) = (raw.next_at, raw.switch_at);
        if next_at == 0 || next_at >= switch_at || switch_at > LATEST {
            return Err(ConfigError::CaParts { next_at, switch_at });
        }
        Ok(Self {
            ca_life,
            next_at,
            switch_at,
        })
    }
}

/// A number with one of the units s, m, h, d.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

const DAY: u64 = 24 * 60 * 60;
/// There has to be a moment for each step.
const SHORTEST: Duration = Duration::from_secs(10);
/// Clients accept no more of a certificate, and nobody needs more.
const LONGEST: Duration = Duration::from_secs(397 * DAY);
/// In percent: what comes later than this comes too late.
const LATEST: u8 = 95;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Trust, ConfigError> {
        Config::parse(text, Path::new("/etc/tollgate")).map(|config| config.trust)
    }

    #[test]
    fn lives_have_units_and_bounds() {
        let usual = parse("").unwrap();
        assert_eq!(usual.ca_life, Duration::from_secs(30 * DAY));
        assert_eq!((usual.next_at, usual.switch_at), (50, 90));
        for (text, seconds) in [
            ("10s", 10),
            ("90m", 5400),
            ("36h", 129_600),
            ("7d", 7 * DAY),
        ] {
            let trust = parse(&format!("[trust]\nca_life = {text:?}\n")).unwrap();
            assert_eq!(trust.ca_life, Duration::from_secs(seconds));
        }
        for text in [
            "",
            "d",
            "7",
            "9s",
            "398d",
            "1.5d",
            "-1d",
            "7 d",
            "99999999999999999999d",
            "1w",
        ] {
            let error = parse(&format!("[trust]\nca_life = {text:?}\n")).unwrap_err();
            assert!(error.to_string().contains("ca_life"), "{error}");
        }
    }

    #[test]
    fn the_next_comes_before_it_signs_and_signs_before_the_old_one_ends() {
        assert!(parse("[trust]\nnext_at = 10\nswitch_at = 95\n").is_ok());
        for (next_at, switch_at) in [(0, 90), (90, 90), (91, 90), (50, 96)] {
            let text = format!("[trust]\nnext_at = {next_at}\nswitch_at = {switch_at}\n");
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains("next_at"), "{error}");
        }
    }
}
