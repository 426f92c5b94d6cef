//! What /proc shows of a process.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc;

use super::super::anchor::Anchor;
use super::super::places::BROWSERS;
use super::super::{adopt, environment, files, pem, policy, seen};
use super::{BROWSER, CHROMIUM, COMPILED_IN, Facts, GO, GRPC, Kind, SPLICE};
use crate::sys::launch;

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
    let environment: HashMap<String, String> = environment.collect();
    let began = began(pid)?;
    let came = |pem: &str| adopt::came(pid, pem);
    let signing = cas.iter().find(|(_, from)| from.is_none());
    let signing_pem = signing.map(|(pem, _)| pem.as_str());
    let signing = signing_pem.and_then(came);
    let mut coming = cas
        .iter()
        .filter_map(|(pem, from)| Some((pem, from.clone()?)));
    let next = coming.find(|(pem, _)| came(pem).is_some_and(|came| came > began));
    let holds = Holds::of(Path::new(&format!("/proc/{pid}/exe")));
    let kind = Kind::called(&exe, holds.runtime);
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.split(|byte| *byte == 0);
    let words: Vec<String> = words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    Some(Facts {
        sees: signing.is_some(),
        late: signing.is_some_and(|came| came > began),
        next: next.map(|(_, from)| from),
        compiled_in: holds.roots,
        variable: holds.variable,
        runtime: holds.runtime,
        system: kind.reads_system(&words, &environment),
        policy: signing_pem.is_some_and(|pem| has_policy(pid, pem)),
        once: match holds.go {
            true => Some(GO),
            false => maps_grpc(pid).then_some(GRPC),
        },
        unit: unit(pid),
        misled: signing_pem.and_then(|pem| misled(pid, kind, &environment, pem)),
        named: signing_pem
            .map(|pem| named(pid, kind, &environment, pem))
            .unwrap_or_default(),
        environment,
        exe,
        ..Facts::default()
    })
}

/// Whether a process sees a policy of a browser with this CA.
fn has_policy(pid: u32, ca: &str) -> bool {
    let Ok(anchors) = Anchor::all(ca) else {
        return false;
    };
    let root = seen::root(pid);
    BROWSERS.iter().any(|folder| {
        let path = policy::path(&Path::new("/").join(folder));
        let content = seen::open(&root, &path).and_then(|file| seen::read(&file));
        content.is_ok_and(|content| anchors.iter().all(|anchor| policy::has(&content, anchor)))
    })
}

/// The variable that leads a process of this kind to a file without this CA.
fn misled(
    pid: u32,
    kind: Kind,
    environment: &HashMap<String, String>,
    ca: &str,
) -> Option<&'static str> {
    let (variable, file) = kind.named(environment)?;
    (has(pid, file, ca) != Some(true)).then_some(variable)
}

/// The variables that lead a program of this kind to certificates without this CA, where it reads them.
fn named(
    pid: u32,
    kind: Kind,
    environment: &HashMap<String, String>,
    ca: &str,
) -> Vec<&'static str> {
    let names = environment::replacing().filter(|name| kind.reads(name));
    let lacks = |name: &&'static str| {
        let file = environment.get(*name).filter(|file| !file.is_empty());
        file.and_then(|file| has(pid, file, ca)) == Some(false)
    };
    names.filter(lacks).collect()
}

/// Whether a file of certificates, as the process sees it, has this CA; nothing where it is none.
fn has(pid: u32, file: &str, ca: &str) -> Option<bool> {
    let file = Path::new(file);
    let content = match file.is_absolute() {
        true => seen::open(&seen::root(pid), file)
            .and_then(|file| seen::read(&file))
            .ok()?,
        false => files::read(&Path::new(&format!("/proc/{pid}/cwd")).join(file)).ok()?,
    };
    let certificates = pem::each(&content);
    let mut cas = pem::each(ca.as_bytes()).into_iter();
    (!certificates.is_empty()).then(|| cas.all(|ca| certificates.contains(&ca)))
}

/// When a process began, in milliseconds since 1970, to about ten of them.
#[must_use]
pub fn began(pid: u32) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything; the start is the 20th field after it, in hundredths of a second since boot.
    let (_, fields) = stat.rsplit_once(')')?;
    let start: i64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.as_millis() as i64 - (uptime * 1000.0) as i64 + start * 10)
}

/// Why a program with roots of its own, to which no variable adds, refuses, and what helps.
#[must_use]
pub fn compiled_in(exe: &Path) -> Option<(&'static str, &'static str)> {
    if Kind::of(exe) == Kind::Chromium {
        return Some((CHROMIUM, BROWSER));
    }
    let holds = Holds::of(exe);
    let own = holds.roots && !holds.variable && Kind::called(exe, holds.runtime) == Kind::Other;
    own.then_some((COMPILED_IN, SPLICE))
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

/// Does it have the gRPC library in it, as Python's package brings it?
fn maps_grpc(pid: u32) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.contains("/cygrpc.")
}

/// What an executable holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Holds {
    /// A root that every list of roots has.
    roots: bool,
    /// The name of the variable that leads to others.
    variable: bool,
    /// What the Go linker leaves.
    go: bool,
    /// What it was made one file of.
    runtime: Kind,
}

impl Holds {
    fn of(exe: &Path) -> Self {
        let mut content = Vec::new();
        // A workload may have put something else there, which would be waited for.
        let mut options = File::options();
        let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(exe);
        let file = file
            .ok()
            .filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()));
        let read = file.map(|file| file.take(LARGEST).read_to_end(&mut content));
        match read {
            Some(Ok(_)) => Self::within(&content),
            _ => Self::default(),
        }
    }

    fn within(content: &[u8]) -> Self {
        let [roots, variable, go, node, bun, deno] = WANTED.map(|text| launch::has(content, text));
        // What Bun and Deno bring of Node's names does not make them Node.
        let runtime = match (bun, deno, node) {
            (true, _, _) => Kind::Bun,
            (_, true, _) => Kind::Deno,
            (_, _, true) => Kind::Node,
            _ => Kind::Other,
        };
        Self {
            roots,
            variable,
            go,
            runtime,
        }
    }
}

/// In this order: the name of the root of Let's Encrypt, as its certificate and its subject spell it; the variable of OpenSSL and of those who follow it;
/// debug/buildinfo of Go, which each program since Go 1.13 has; where Node, Bun and Deno put the program that they are made one file with.
const WANTED: [&[u8]; 6] = [
    b"ISRG Root X1",
    b"SSL_CERT_FILE",
    b"\xff Go buildinf:",
    b"NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2",
    b"---- Bun! ----",
    b"d3n0l4nd",
];
const LARGEST: u64 = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_began_when_it_was_started() {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH);
        let before = now().map(|now| now.as_millis() as i64);
        let child = std::process::Command::new("sleep").arg("60").spawn();
        let (Ok(before), Ok(mut child)) = (before, child) else {
            panic!("no child");
        };
        let began = began(child.id());
        assert!(child.kill().and_then(|()| child.wait()).is_ok());
        assert!(
            began.is_some_and(|began| (began - before).abs() < 1000),
            "{began:?} {before}"
        );
    }

    #[test]
    fn what_a_program_has_compiled_in_is_found() {
        let holds = |text: &[u8]| Holds::within(text);
        let roots = holds(b"\x7fELF..ISRG Root X1..");
        assert!(roots.roots && !roots.go && !roots.variable);
        let go = holds(b"\x7fELF..\xff Go buildinf:\x08");
        assert!(go.go && !go.roots);
        assert!(holds(b"..ISRG Root X1..SSL_CERT_FILE..").variable);
        let node =
            b"SSL_CERT_FILE NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1 NODE_EXTRA_CA_CERTS";
        assert_eq!(holds(node).runtime, Kind::Node);
        assert_eq!(holds(b"ISRG Root X1 \n---- Bun! ----\n").runtime, Kind::Bun);
        assert_eq!(holds(b"..d3n0l4nd..").runtime, Kind::Deno);
        assert_eq!(Holds::of(Path::new("/bin/true")), Holds::default());
        let (Ok(own), Ok(file)) = (std::env::current_exe(), tempfile::NamedTempFile::new()) else {
            panic!("no file");
        };
        assert!(fs::write(file.path(), b"ISRG Root X1").is_ok());
        assert!(compiled_in(file.path()).is_some() && compiled_in(&own).is_none());
        let browser = compiled_in(Path::new("/usr/lib/chromium/chromium"));
        assert!(browser.is_some_and(|(_, remedy)| remedy.contains("nssdb")));
        assert!(fs::write(file.path(), b"ISRG Root X1 SSL_CERT_FILE").is_ok());
        assert!(compiled_in(file.path()).is_none());
    }

    #[test]
    fn a_variable_leads_to_a_file_without_the_ca_only_where_that_has_certificates() {
        const CA: &str = "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n";
        const OWN: &str = "-----BEGIN CERTIFICATE-----\nT1dO\n-----END CERTIFICATE-----\n";
        let Ok(dir) = tempfile::tempdir() else {
            panic!("no folder");
        };
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            assert!(fs::write(&path, text).is_ok());
            path.display().to_string()
        };
        let own = file("own.pem", OWN);
        let environment = HashMap::from([
            ("npm_config_cafile".to_owned(), own.clone()),
            ("SSL_CERT_FILE".to_owned(), own),
            (
                "PIP_CERT".to_owned(),
                file("both.pem", &(OWN.to_owned() + CA)),
            ),
            ("CURL_CA_BUNDLE".to_owned(), file("none.pem", "nothing")),
            ("GIT_SSL_CAINFO".to_owned(), "/missing".to_owned()),
        ]);
        let named = |kind| named(std::process::id(), kind, &environment, CA);
        assert_eq!(named(Kind::Node), ["npm_config_cafile"]);
        assert_eq!(named(Kind::Other), ["SSL_CERT_FILE"]);
        assert!(named(Kind::Java).is_empty());
    }
}
