//! The CA of each workload: whether its clients can still trust what the gateway shows them.
//!
//! In: what the daemon says of a workload. Out: until when its CA is valid, as the clients read it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use x509_parser::pem::Pem;

use super::{Finding, State};

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
    let Some((made, end)) = newest(&pem) else {
        let found = format!("{} holds no certificate", path.display());
        let remedy = "restart the daemon, which writes it again";
        return Some(Finding::new(check, State::Fail, found, remedy));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = i64::try_from(now.as_secs()).ok()?;
    Some(judged(check, end - now, end - made))
}

/// `left` of a `life`, in seconds. The next one comes before little is left of this.
fn judged(check: String, left: i64, life: i64) -> Finding {
    let remedy = "see the daemon's log for why the next one is not made";
    let days = left / DAY;
    match left {
        ..=0 => Finding::new(check, State::Fail, "its CA is no longer valid", remedy),
        _ if left < life / 20 => Finding::new(
            check,
            State::Warn,
            format!("its CA is valid for {days} days more, and there is no next one"),
            remedy,
        ),
        _ => Finding::ok(check, format!("its CA is valid for {days} days more")),
    }
}

/// When the one that ends last was made and ends, in unix seconds.
fn newest(pem: &[u8]) -> Option<(i64, i64)> {
    let certificates = Pem::iter_from_buffer(pem).filter_map(|block| {
        let block = block.ok()?;
        let validity = block.parse_x509().ok()?.validity().clone();
        Some((
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        ))
    });
    certificates.max_by_key(|(_, end)| *end)
}

const DAY: i64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_ca_that_is_not_followed_is_told_in_time() {
        for (left, state) in [
            (-1, State::Fail),
            (0, State::Fail),
            (DAY, State::Warn),
            (3 * DAY, State::Ok),
        ] {
            let found = judged("x".to_owned(), left, 30 * DAY);
            assert_eq!(found.state, state, "{left}");
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
