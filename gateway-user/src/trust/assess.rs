//! What a process makes of the workload's CA: whether it trusts it now, after a restart, or never, with the reason and the remedy.
//!
//! In: what /proc shows of the process, and what came of its handshakes. Out: a [`Verdict`]. What was seen comes before what is expected.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use serde::Serialize;

use super::adopt;

/// What is known of a process.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Its executable.
    pub exe: PathBuf,
    /// Its environment, as it began.
    pub environment: HashMap<String, String>,
    /// Whether its view of the certificate directory has the CA.
    pub sees: bool,
    /// Whether the CA that signs came after the process began.
    pub late: bool,
    /// Whether the one that follows did: when that one signs.
    pub next: Option<String>,
    /// Whether its executable brings roots of its own.
    pub compiled_in: bool,
    /// What it lives in beside others, where its view has no CA: why.
    pub left: Option<String>,
    /// The last handshake that the client gave up over our certificate.
    pub refused: Option<String>,
    /// Whether it has sent requests over TLS since.
    pub trusted: bool,
    /// Whether it has trusted us for another name.
    pub elsewhere: bool,
    /// The systemd unit it belongs to.
    pub unit: Option<String>,
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was seen to.
    Trusts,
    /// What it reads has the CA.
    Effective,
    /// It has read its roots before the CA was there, or lacks a variable.
    Restart,
    /// Nothing changes what it trusts.
    Impossible,
    /// It accepts our certificates, but not this one.
    Pinned,
    /// The certificate itself is not acceptable to it.
    Defect,
    /// It was seen not to.
    Refuses,
    /// Its view of the certificates is the host's, or somebody else's.
    Shared,
}

/// A standing with its reason and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How it stands.
    pub standing: Standing,
    /// Why.
    pub reason: String,
    /// The command, or the step, that changes it; empty where nothing is to be done.
    pub remedy: String,
}

/// What is to be said of a process.
#[must_use]
pub fn assess(facts: &Facts) -> Verdict {
    let verdict = |standing, reason: &str, remedy: String| Verdict {
        standing,
        reason: reason.to_owned(),
        remedy,
    };
    let kind = Kind::of(&facts.exe);
    match &facts.refused {
        _ if facts.trusted => {
            return verdict(Standing::Trusts, "it has sent requests", String::new());
        }
        Some(refused) if facts.elsewhere => {
            let remedy = "let policy permit tls.splice for the service, so that it passes unopened, or change its pins";
            let reason = format!("it trusts the CA for other names; here {refused}");
            return verdict(Standing::Pinned, &reason, remedy.to_owned());
        }
        Some(refused) if refused.contains("does not accept") && !kind.says_unknown() => {
            let remedy = "please report this: the certificate is not as its TLS library wants it";
            return verdict(Standing::Defect, refused, remedy.to_owned());
        }
        _ => {}
    }
    if !facts.sees && !kind.names_its_own(&facts.environment) {
        let reason = facts.left.as_deref();
        let reason = reason.unwrap_or("its view of the certificates has no CA of Tollgate");
        return verdict(Standing::Shared, reason, own_view(facts));
    }
    if let Some(variable) = kind.lacks(&facts.environment) {
        let reason = format!(
            "{} has its own roots and {variable} is not set",
            kind.name()
        );
        return verdict(Standing::Restart, &reason, restart_with_variables(facts));
    }
    if facts.compiled_in && kind == Kind::Other {
        return verdict(Standing::Impossible, COMPILED_IN, SPLICE.to_owned());
    }
    if facts.late && kind.reads_once() {
        let reason = format!("{} read its roots before the CA was there", kind.name());
        return verdict(Standing::Restart, &reason, "restart it".to_owned());
    }
    if let Some(refused) = &facts.refused {
        let remedy = match facts.late {
            true => "restart it: it may have read its roots before the CA was there",
            false => "see which bundle it names in its code; `tollgate run` covers the common ones",
        };
        return verdict(Standing::Refuses, refused, remedy.to_owned());
    }
    let reason = "the certificates it reads have the CA";
    let remedy = facts.next.as_ref().filter(|_| kind.reads_once());
    let remedy = remedy.map(|from| format!("restart it before {from}, when the next CA signs"));
    verdict(Standing::Effective, reason, remedy.unwrap_or_default())
}

/// How it gets a view of its own.
fn own_view(facts: &Facts) -> String {
    match &facts.unit {
        Some(unit) => format!(
            "tollgate trust unit {unit} --write && systemctl daemon-reload && systemctl restart {unit}"
        ),
        None => "start it by `tollgate run`, or in a container of its own".to_owned(),
    }
}

fn restart_with_variables(facts: &Facts) -> String {
    match &facts.unit {
        Some(_) => own_view(facts),
        None => {
            "start it by `tollgate run`, or its container with the device of `tollgate trust cdi`"
                .to_owned()
        }
    }
}

/// What decides when roots are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node,
    Deno,
    Java,
    Other,
}

impl Kind {
    fn of(exe: &Path) -> Self {
        match exe.file_name().and_then(|name| name.to_str()) {
            Some("node" | "nodejs") => Self::Node,
            Some("deno") => Self::Deno,
            Some("java") => Self::Java,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Deno => "Deno",
            Self::Java => "Java",
            Self::Other => "it",
        }
    }

    /// A variable that it needs and does not have.
    fn lacks(self, environment: &HashMap<String, String>) -> Option<&'static str> {
        let needs: &[&'static str] = match self {
            Self::Node => &["NODE_EXTRA_CA_CERTS"],
            Self::Deno => &["DENO_CERT", "NODE_EXTRA_CA_CERTS"],
            _ => &[],
        };
        let has = |name: &&&str| {
            environment
                .get(**name)
                .is_some_and(|value| !value.is_empty())
        };
        match needs.iter().any(|name| has(&name)) {
            true => None,
            false => needs.first().copied(),
        }
    }

    /// Its variables lead it to the CA, whatever its view.
    fn names_its_own(self, environment: &HashMap<String, String>) -> bool {
        self != Self::Other && self != Self::Java && self.lacks(environment).is_none()
    }

    /// It reads its roots when it begins, or once.
    fn reads_once(self) -> bool {
        self != Self::Other
    }

    /// `certificate_unknown` is how it says that it does not know the CA.
    fn says_unknown(self) -> bool {
        self == Self::Java
    }
}

/// What /proc shows of a process; nothing where it has ended. Of each CA, in PEM: from when on it signs, if that is yet to come.
#[must_use]
pub fn look(pid: u32, cas: &[(String, Option<String>)]) -> Option<Facts> {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let environment = environment.split(|byte| *byte == 0).filter_map(|pair| {
        let pair = String::from_utf8_lossy(pair);
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let changed = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.mtime());
    let began = changed(Path::new(&format!("/proc/{pid}")));
    let came = |pem: &str| adopt::came(pid, pem);
    let signing = cas.iter().find(|(_, from)| from.is_none());
    let signing = signing.and_then(|(pem, _)| came(pem));
    let mut coming = cas
        .iter()
        .filter_map(|(pem, from)| Some((pem, from.clone()?)));
    let next = coming.find(|(pem, _)| came(pem).is_some_and(|came| came > began));
    Some(Facts {
        sees: signing.is_some(),
        late: signing.is_some_and(|came| came > began),
        next: next.map(|(_, from)| from),
        compiled_in: brings_roots(&PathBuf::from(format!("/proc/{pid}/exe"))),
        unit: unit(pid),
        environment: environment.collect(),
        exe,
        ..Facts::default()
    })
}

/// Is this a program with roots of its own, and none of those for which there is a variable?
#[must_use]
pub fn compiled_in(exe: &Path) -> bool {
    Kind::of(exe) == Kind::Other && brings_roots(exe)
}

/// The service a process belongs to, by its cgroup.
fn unit(pid: u32) -> Option<String> {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = table.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut parts = path.split('/').rev();
    parts
        .find(|part| part.ends_with(".service"))
        .map(str::to_owned)
}

/// Does an executable hold a root that every list of roots has?
fn brings_roots(exe: &Path) -> bool {
    let mut content = Vec::new();
    // A workload may have put something else there, which would be waited for.
    let mut options = File::options();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(exe);
    let file = file
        .ok()
        .filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()));
    let read = file.map(|file| file.take(LARGEST).read_to_end(&mut content));
    matches!(read, Some(Ok(_))) && memchr(&content, WELL_KNOWN)
}

fn memchr(content: &[u8], wanted: &[u8]) -> bool {
    aho_corasick::AhoCorasick::new([wanted]).is_ok_and(|found| found.is_match(content))
}

/// Why it never trusts.
pub const COMPILED_IN: &str =
    "its roots are compiled in, and no variable is known that adds to them";
/// What can be done about it.
pub const SPLICE: &str =
    "let policy permit tls.splice for the service, so that it passes unopened, or leave it refused";

/// The name of the root of Let's Encrypt, as its certificate and its subject spell it.
const WELL_KNOWN: &[u8] = b"ISRG Root X1";
const LARGEST: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(exe: &str) -> Facts {
        Facts {
            exe: exe.into(),
            sees: true,
            ..Facts::default()
        }
    }

    fn with(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> (Standing, String) {
        change(&mut facts);
        let verdict = assess(&facts);
        (verdict.standing, verdict.remedy)
    }

    fn standing(exe: &str, change: impl FnOnce(&mut Facts)) -> Standing {
        with(facts(exe), change).0
    }

    #[test]
    fn what_was_seen_comes_before_what_is_expected() {
        let trusted = standing("/usr/bin/node", |facts| facts.trusted = true);
        assert_eq!(trusted, Standing::Trusts);
        let refused = |facts: &mut Facts| {
            facts.refused = Some("the client distrusts our CA (alert unknown_ca)".into());
        };
        assert_eq!(standing("/usr/bin/python3", refused), Standing::Refuses);
        let pinned = standing("/app", |facts| {
            refused(facts);
            facts.elsewhere = true;
        });
        assert_eq!(pinned, Standing::Pinned);
        let defect = |facts: &mut Facts| {
            facts.refused = Some("the client does not accept our certificate".into());
        };
        assert_eq!(standing("/usr/bin/curl", defect), Standing::Defect);
        assert_eq!(standing("/usr/bin/java", defect), Standing::Refuses);
    }

    #[test]
    fn runtimes_need_their_variable_or_a_restart() {
        assert_eq!(standing("/usr/bin/node", |_| {}), Standing::Restart);
        let set = |facts: &mut Facts| {
            facts
                .environment
                .insert("NODE_EXTRA_CA_CERTS".into(), "/x".into());
        };
        assert_eq!(standing("/usr/bin/node", set), Standing::Effective);
        let late = |facts: &mut Facts| facts.late = true;
        assert_eq!(standing("/usr/bin/java", late), Standing::Restart);
        assert_eq!(standing("/usr/bin/python3", late), Standing::Effective);
        let own = standing("/opt/agent", |facts| facts.compiled_in = true);
        assert_eq!(own, Standing::Impossible);
    }

    #[test]
    fn what_reads_its_roots_once_is_told_until_when_it_may_run() {
        let next = |facts: &mut Facts| facts.next = Some("2027-01-01".into());
        let (standing, remedy) = with(facts("/usr/bin/java"), next);
        assert_eq!(standing, Standing::Effective);
        assert!(remedy.contains("before 2027-01-01"), "{remedy}");
        assert_eq!(with(facts("/usr/bin/python3"), next).1, "");
    }

    #[test]
    fn a_view_that_is_shared_gets_a_precise_offer() {
        let service = with(facts("/usr/bin/python3"), |facts| {
            facts.sees = false;
            facts.unit = Some("agent.service".into());
        });
        assert_eq!(service.0, Standing::Shared);
        assert!(
            service
                .1
                .starts_with("tollgate trust unit agent.service --write")
        );
        let other = with(facts("/usr/bin/python3"), |facts| facts.sees = false);
        assert!(other.1.contains("tollgate run"), "{}", other.1);
    }

    #[test]
    fn compiled_in_roots_are_found() {
        let file = tempfile::NamedTempFile::new();
        let Ok(file) = file else { panic!("no file") };
        assert!(fs::write(file.path(), b"\x7fELF..ISRG Root X1..").is_ok());
        assert!(brings_roots(file.path()));
        assert!(!brings_roots(Path::new("/bin/true")));
    }
}
