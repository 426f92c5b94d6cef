//! The host: kernel, clock, resolvers, roots.

use std::path::Path;
use std::time::SystemTime;

use super::{Finding, State};
use crate::config::Resolver;
use crate::kernel::{Kind, probe};
use crate::tls::Roots;

pub(super) fn kernel_version() -> Vec<Finding> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![version(release.trim())]
}

fn version(release: &str) -> Finding {
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    let number = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    if number >= OLDEST {
        return Finding::ok("kernel", release);
    }
    let (major, minor) = OLDEST;
    Finding::new(
        "kernel",
        State::Fail,
        release,
        format!("use Linux {major}.{minor} or later"),
    )
}

pub(super) fn kernel(pins: &Path) -> Vec<Finding> {
    let probes = probe(pins).into_iter();
    probes
        .map(|probe| match probe.found {
            Ok(found) => Finding::ok(probe.what, found),
            Err(error) if error.kind() == Kind::Privilege => Finding::new(
                probe.what,
                State::Fail,
                error.to_string(),
                "run this again with sudo",
            ),
            Err(error) => Finding::new(
                probe.what,
                State::Fail,
                error.to_string(),
                "see what it says",
            ),
        })
        .collect()
}

/// A clock that lags behind the files of this installation makes certificates invalid.
pub(super) fn clock(config: &Path) -> Finding {
    let own = std::env::current_exe().ok();
    let written = [Some(config.to_owned()), own].into_iter().flatten();
    let newest = written
        .filter_map(|path| path.metadata().ok()?.modified().ok())
        .max();
    let now = SystemTime::now();
    match newest.and_then(|newest| newest.duration_since(now).ok()) {
        Some(behind) if behind.as_secs() > SKEW => {
            let found = format!(
                "{} s behind the newest file of this installation",
                behind.as_secs()
            );
            Finding::new("clock", State::Fail, found, "set it, and keep it with NTP")
        }
        _ => Finding::ok("clock", "not behind"),
    }
}

/// Whom the DNS stage asks.
pub(super) fn resolvers(resolvers: &Resolver) -> Finding {
    let resolvers = resolvers.read();
    if resolvers.is_empty() {
        let remedy = "name one in [dns] resolvers of tollgate.toml, or in /etc/resolv.conf";
        return Finding::new("resolvers", State::Warn, "none in /etc/resolv.conf", remedy);
    }
    let listed: Vec<String> = resolvers.iter().map(ToString::to_string).collect();
    Finding::ok("resolvers", listed.join(", "))
}

pub(super) fn roots() -> Finding {
    let remedy = "install ca-certificates";
    match Roots::host() {
        Ok(roots) if roots.count() == 0 => {
            Finding::new("roots", State::Fail, "the host's store is empty", remedy)
        }
        Ok(roots) => Finding::ok("roots", format!("{} in the host's store", roots.count())),
        Err(error) => Finding::new("roots", State::Fail, error.to_string(), remedy),
    }
}

const OLDEST: (u32, u32) = (5, 15);
/// Seconds; file systems round.
const SKEW: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_number() {
        for (release, state) in [
            ("5.15.0-91-generic", State::Ok),
            ("6.1.0", State::Ok),
            ("10.0", State::Ok),
            ("5.14.21", State::Fail),
            ("4.18.0-553.el8", State::Fail),
            ("", State::Fail),
        ] {
            assert_eq!(version(release).state, state, "{release}");
        }
    }
}
