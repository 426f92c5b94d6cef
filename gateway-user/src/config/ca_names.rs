//! `ca_names` of an identity, or of one workload: what the CAs may sign for.

use std::net::IpAddr;

use super::ConfigError;

/// Checks them; in one spelling, names as they are and addresses as networks. `None` is whatever there is.
pub(super) fn check(
    whose: String,
    listed: Option<Vec<String>>,
) -> Result<Vec<String>, ConfigError> {
    let Some(listed) = listed else {
        return Ok(Vec::new());
    };
    let wrong = |text: &str| ConfigError::CaName {
        whose: whose.clone(),
        text: text.to_owned(),
    };
    if listed.is_empty() {
        return Err(wrong("an empty list"));
    }
    let checked = listed.iter().map(|text| {
        let text = text.trim_end_matches('.');
        network(text)
            .or_else(|| name(text))
            .ok_or_else(|| wrong(text))
    });
    let mut checked = checked.collect::<Result<Vec<_>, _>>()?;
    checked.sort_unstable();
    checked.dedup();
    Ok(checked)
}

/// An address or a network; a network has nothing beyond its prefix.
fn network(text: &str) -> Option<String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
    let beyond = match address {
        IpAddr::V4(v4) => v4.to_bits().checked_shl(prefix.into()).unwrap_or(0) != 0,
        IpAddr::V6(v6) => v6.to_bits().checked_shl(prefix.into()).unwrap_or(0) != 0,
    };
    // A prefix of nothing is no limit.
    ((1..=bits).contains(&prefix) && !beyond).then(|| format!("{address}/{prefix}"))
}

/// A name of which everything below is meant too, so that a wildcard says nothing more.
fn name(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(plain)
    };
    let last = name.rsplit('.').next()?;
    let is_address = last.chars().all(|c| c.is_ascii_digit());
    (name.len() <= 253 && !is_address && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use crate::config::{Config, ConfigError};

    fn names(listed: &str) -> Result<Vec<String>, ConfigError> {
        let text = format!("[[identity]]\nid = \"a\"\nca_names = {listed}\n");
        let config = Config::parse(&text, Path::new("/etc/tollgate"))?;
        Ok(config.identities[0].ca_names.clone())
    }

    #[test]
    fn names_and_networks_have_one_spelling() {
        let checked =
            names(r#"["OpenAI.com.", "openai.com", "10.0.0.0/8", "192.0.2.7", "fd00::/8"]"#);
        assert_eq!(
            checked.unwrap(),
            ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "openai.com"]
        );
    }

    #[test]
    fn a_workload_has_its_own_or_those_of_its_identity() {
        let of = |own: &str| {
            let text = format!(
                "[[identity]]\nid = \"a\"\nca_names = [\"a.test\"]\n[[workload]]\nidentity = \"a\"\ncgroup = \"/a\"\n{own}"
            );
            let config = Config::parse(&text, Path::new("/etc/tollgate"))?;
            Ok::<_, ConfigError>(config.workloads[0].ca_names.clone())
        };
        assert_eq!(of("").unwrap(), ["a.test"]);
        assert_eq!(of("ca_names = [\"B.test\"]").unwrap(), ["b.test"]);
        let error = of("ca_names = []").unwrap_err().to_string();
        assert!(
            error.starts_with("workload \"cgroup:/a\": ca_names"),
            "{error}"
        );
    }

    #[test]
    fn what_limits_nothing_or_is_no_name_is_refused() {
        for wrong in [
            "",
            "*.openai.com",
            "a..b",
            "10.0.0.1/8",
            "0.0.0.0/0",
            "10.0.0",
            "::/0",
            "a b",
            "https://a.b",
        ] {
            let error = names(&format!("[{wrong:?}]")).unwrap_err().to_string();
            assert!(
                error.contains("ca_names") && error.contains('a'),
                "{wrong}: {error}"
            );
        }
        assert!(names("[]").is_err());
    }
}
