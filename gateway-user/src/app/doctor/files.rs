//! Files: policies, credentials, roots of services, and the folders of the daemon.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::{Finding, State};
use crate::app::parts::proxy_user;
use crate::config::{Config, Paths};
use crate::policy::PolicySet;
use crate::spend::Prices;
use crate::tls::{Roots, Upstream};

pub(super) fn all(config: &Config, daemon: bool) -> Vec<Finding> {
    let counted = format!(
        "{} [[identity]], {} [[workload]]",
        config.identities.len(),
        config.workloads.len()
    );
    let mut findings = vec![Finding::ok("configuration", counted)];
    findings.push(match PolicySet::load(&config.paths.policies) {
        Ok(set) => Finding::ok(
            "policies",
            format!("{} (version {})", set.len(), set.version()),
        ),
        Err(error) => Finding::new(
            "policies",
            State::Fail,
            error.to_string(),
            "mend them; `tollgate policy check` says more",
        ),
    });
    findings.extend(config.prices.as_deref().map(prices));
    findings.extend(folders(&config.paths));
    findings.push(space(&config.paths.state));
    findings.extend(leftovers(&config.paths, daemon));
    for service in config.catalog.services() {
        if let Some(held) = &service.credential {
            findings.push(credential(&service.name, &held.file));
        }
        if let Some(ca) = &service.ca {
            findings.push(authority(&service.name, ca));
        }
    }
    findings
}

/// What `[spend] prices` names.
fn prices(path: &Path) -> Finding {
    match Prices::load(Some(path)) {
        Ok(prices) => Finding::ok("prices", format!("{}: {}", path.display(), prices.date())),
        Err(error) => Finding::new(
            "prices",
            State::Fail,
            error.to_string(),
            "mend the file that [spend] prices names: no daemon starts with it",
        ),
    }
}

/// What others may do to the folders of the daemon. One that is not there yet is made at start.
fn folders(paths: &Paths) -> Vec<Finding> {
    let folders = [
        ("state folder", &paths.state, ROOT, READ | WRITE),
        (
            "ledger",
            &paths.state.join("ledger/ledger.db"),
            proxy_user(),
            READ | WRITE,
        ),
        ("keys", &paths.state.join("ca"), ROOT, READ | WRITE),
        ("run folder", &paths.run, ROOT, WRITE),
        ("policy folder", &paths.policies, ROOT, WRITE),
    ];
    let checked = folders.into_iter().map(|(check, path, owner, denied)| {
        let shown = path.display().to_string();
        match path.metadata() {
            Ok(metadata) => closed(check, &shown, &metadata, owner, denied),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Finding::new(check, State::Note, format!("{shown}: not there yet"), "")
            }
            Err(error) => Finding::new(
                check,
                State::Fail,
                format!("{shown}: {error}"),
                "run this again with sudo",
            ),
        }
    });
    checked.collect()
}

/// `owner` is who it should belong to.
fn closed(check: &str, shown: &str, metadata: &Metadata, owner: u32, denied: u32) -> Finding {
    let open = metadata.mode() & denied;
    if metadata.uid() != owner {
        let found = format!("{shown} belongs to user {}", metadata.uid());
        return Finding::new(check, State::Fail, found, format!("chown {owner} {shown}"));
    }
    if open != 0 {
        let found = format!(
            "{shown} is open to others (mode {:o})",
            metadata.mode() & 0o7777
        );
        return Finding::new(
            check,
            State::Fail,
            found,
            format!("chmod {:o} {shown}", metadata.mode() & 0o7777 & !denied),
        );
    }
    Finding::ok(check, shown)
}

/// A full disk is a daemon that refuses everything.
fn space(state: &Path) -> Finding {
    let existing = state
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    match statvfs(existing) {
        Ok(disk) => {
            let free = (disk.blocks_available() * disk.fragment_size()) >> 20;
            let found = format!("{free} MiB free for {}", state.display());
            match free {
                0..FAILING => Finding::new(
                    "disk",
                    State::Fail,
                    found,
                    "make room: without it everything is refused",
                ),
                FAILING..TIGHT => Finding::new(
                    "disk",
                    State::Warn,
                    found,
                    "make room: without it everything is refused",
                ),
                _ => Finding::ok("disk", found),
            }
        }
        Err(errno) => Finding::new(
            "disk",
            State::Fail,
            format!("{}: {errno}", existing.display()),
            "see what it says",
        ),
    }
}

/// What a daemon that has died keeps closed.
fn leftovers(paths: &Paths, daemon: bool) -> Option<Finding> {
    (!daemon && crate::kernel::pinned(&paths.pins)).then(|| {
        let found = format!(
            "{} has programs, and no daemon answers: what is tagged is refused everything",
            paths.pins.display()
        );
        Finding::new(
            "pins",
            State::Warn,
            found,
            "`tollgate up` governs again; `tollgate down` lets everything go",
        )
    })
}

fn credential(service: &str, file: &Path) -> Finding {
    let (check, shown) = (
        format!("credential of {service}"),
        file.display().to_string(),
    );
    match file.metadata() {
        Err(error) => Finding::new(
            check,
            State::Fail,
            format!("{shown}: {error}"),
            "write it, or name another file",
        ),
        Ok(metadata) if metadata.len() == 0 => Finding::new(
            check,
            State::Fail,
            format!("{shown} is empty"),
            "write the credential into it",
        ),
        Ok(metadata) => closed(&check, &shown, &metadata, ROOT, READ | WRITE),
    }
}

fn authority(service: &str, ca: &Path) -> Finding {
    let check = format!("roots of {service}");
    let made = Roots::host().and_then(|roots| Upstream::new(&roots, Some(ca)));
    match made {
        Ok(_) => Finding::ok(check, ca.display().to_string()),
        Err(error) => Finding::new(
            check,
            State::Fail,
            error.to_string(),
            "name a PEM file with CA certificates",
        ),
    }
}

const ROOT: u32 = 0;
/// Permissions of group and others.
const READ: u32 = 0o044;
const WRITE: u32 = 0o022;
/// MiB: a busy host writes that within an hour, or within a minute.
const TIGHT: u64 = 2048;
const FAILING: u64 = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_may_use_is_told_with_the_command_that_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(credential("s", &file).found.contains("No such file"));
        std::fs::write(&file, "").unwrap();
        assert!(credential("s", &file).found.contains("empty"));
        std::fs::write(&file, "secret").unwrap();
        let metadata = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file.metadata().unwrap()
        };
        let own = file.metadata().unwrap().uid();
        for (owner, mode, state, remedy) in [
            (own, 0o644, State::Fail, "chmod 600 /k".to_owned()),
            (own, 0o600, State::Ok, String::new()),
            (own + 1, 0o600, State::Fail, format!("chown {} /k", own + 1)),
        ] {
            let found = closed("key", "/k", &metadata(mode), owner, READ | WRITE);
            assert_eq!((found.state, found.remedy), (state, remedy));
        }
    }

    #[test]
    fn a_file_of_prices_that_stops_the_daemon_is_told_with_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices.toml");
        std::fs::write(&file, "date = \"2026-11-26\"\n[openai]\n").unwrap();
        let found = prices(&file);
        assert!(found.state == State::Ok && found.found.contains("2026-11-26"));
        let misspelt = "date = \"2026-11-26\"\n[openai]\na = { imput = 1 }\n";
        std::fs::write(&file, misspelt).unwrap();
        let found = prices(&file);
        let told = "prices.toml:3: unknown key `imput`; did you mean `input`?";
        assert!(
            found.state == State::Fail && found.found.ends_with(told),
            "{found:?}"
        );
    }

    #[test]
    fn nothing_is_made_by_looking() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(
            "[paths]\nstate = \"state\"\nrun = \"run\"\npins = \"pins\"\npolicies = \"policies\"\n",
            folder.path(),
        );
        all(&config.unwrap(), false);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
