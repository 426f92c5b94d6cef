//! The CA of each workload: whether its clients can still trust what the gateway shows them.
//!
//! In: what the daemon says of a workload. Out: until when its CA is valid, as the clients read it.

use std::path::Path;

use serde_json::Value;
use x509_parser::pem::Pem;

use super::{Finding, State};
use crate::record::Time;

/// A line for a workload whose CA lies in a file. Launches get theirs handed over.
pub(super) fn authority(workload: &Value) -> Option<Finding> {
    let name = workload["name"].as_str().unwrap_or_default();
    let path = Path::new(workload["ca"].as_str()?);
    let check = format!("trust of {name}");
    let pem = match std::fs::read(path) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            let remedy = "run this again with sudo";
            return Some(Finding::new(check, State::Fail, found, remedy));
        }
    };
    let Some(end) = newest(&pem) else {
        let found = format!("{} holds no certificate", path.display());
        let remedy = "restart the daemon, which writes it again";
        return Some(Finding::new(check, State::Fail, found, remedy));
    };
    let now = Time::now().unix_ms() / 1000;
    Some(judged(check, now, end, due(workload)))
}

/// By the time that is left, in seconds, and by when the next one should have been there.
fn judged(check: String, now: i64, end: i64, due: Option<i64>) -> Finding {
    let remedy = "see the daemon's log for why the next one is not made";
    let left = end - now;
    if left <= 0 {
        return Finding::new(check, State::Fail, "its CA is no longer valid", remedy);
    }
    let valid = format!("its CA is valid for {} more", span(left));
    match due.is_some_and(|due| due < now) {
        true => Finding::new(
            check,
            State::Warn,
            format!("{valid}, and the next one is overdue"),
            remedy,
        ),
        false => Finding::ok(check, valid),
    }
}

/// When the next one is late, in unix seconds; nothing where it is there.
fn due(workload: &Value) -> Option<i64> {
    let [only] = workload["cas"].as_array()?.as_slice() else {
        return None;
    };
    let date = |key: &str| {
        let date: Time = only[key].as_str()?.parse().ok()?;
        Some(date.unix_ms() / 1000)
    };
    // Its certificate begins earlier, for clocks that are behind. It signs from when it was made, as there was none before.
    let (made, end) = (date("from")?, date("until")?);
    let part = workload["next_ca_at"].as_i64()? + GRACE;
    Some(made + (end - made) * part / 100)
}

/// When the one that ends last ends, in unix seconds.
fn newest(pem: &[u8]) -> Option<i64> {
    let certificates = Pem::iter_from_buffer(pem).filter_map(|block| {
        let validity = block.ok()?.parse_x509().ok()?.validity().clone();
        Some(validity.not_after.timestamp())
    });
    certificates.max()
}

/// In the largest unit of which there are two.
fn span(seconds: i64) -> String {
    let units = [(24 * 60 * 60, "days"), (60 * 60, "hours"), (60, "minutes")];
    let unit = units.iter().find(|(unit, _)| seconds >= 2 * unit);
    let (unit, name) = unit.unwrap_or(&(1, "seconds"));
    format!("{} {name}", seconds / unit)
}

/// Of a life, in percent: the daemon may be about to make it.
const GRACE: i64 = 5;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_ca_that_is_not_followed_is_told_in_time() {
        let made = "2026-11-27T04:14:00.000Z"
            .parse::<Time>()
            .unwrap()
            .unix_ms()
            / 1000;
        let ca = |from: i64, until: i64| {
            let date = |seconds: i64| Time::from_unix_ms((made + seconds) * 1000);
            json!({"from": date(from), "until": date(until)})
        };
        let one = json!({"cas": [ca(0, 60)], "next_ca_at": 50});
        let two = json!({"cas": [ca(0, 60), ca(54, 90)], "next_ca_at": 50});
        for (workload, passed, end, state, found) in [
            (&one, 29, 60, State::Ok, "31 seconds more"),
            (&one, 32, 60, State::Ok, "28 seconds more"),
            (
                &one,
                34,
                60,
                State::Warn,
                "26 seconds more, and the next one is overdue",
            ),
            (&one, 60, 60, State::Fail, "no longer valid"),
            (&two, 50, 90, State::Ok, "40 seconds more"),
        ] {
            let judged = judged("x".to_owned(), made + passed, made + end, due(workload));
            assert_eq!(judged.state, state, "{passed}");
            assert!(judged.found.ends_with(found), "{}", judged.found);
        }
        let day = 24 * 60 * 60;
        for (left, text) in [(30 * day, "30 days"), (day, "24 hours"), (150, "2 minutes")] {
            assert_eq!(span(left), text);
        }
    }

    #[test]
    fn what_is_no_certificate_is_an_error_and_no_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.pem");
        let workload = json!({"name": "unit:a.service", "ca": &file});
        assert_eq!(authority(&workload), None);
        std::fs::write(&file, "nothing").unwrap();
        assert_eq!(authority(&workload).unwrap().state, State::Fail);
    }
}
