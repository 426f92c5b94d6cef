//! The keeper as a process of its own: the files it may read come to it in one message, then only questions.
//!
//! In: sockets from the process that started it. Out: answers. It is root without a capability but the one that reads files whoever they
//! belong to, cannot be looked into, has a network namespace with nothing in it, and may make no socket, run no program and trace
//! nobody. It ends with whoever started it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use nix::libc;
use nix::sched::{CloneFlags, unshare};

use super::line::{Line, exchange};
use super::vault::{Asker, Reply, Vault};
use super::wire::{self, Packed, Unpacker};
use super::{CertificateSpec, CredentialSpec, Held, Keeper, KeeperError, Presented, Rotation};
use crate::sys::confine;
use crate::sys::exchange::{self as sockets, Sockets};
use crate::sys::part;
use crate::sys::seccomp::{self, Rule};

/// The name it is started and shown under.
pub const NAME: &str = "tollgate-keeper";

/// A keeper that has been started and knows nothing yet.
pub struct Started {
    /// The process; whoever started it sees to it that it runs.
    pub child: Child,
    sockets: Vec<OwnedFd>,
    /// For a process that asks beside the one that started it.
    pub others: Vec<OwnedFd>,
    /// Its end tells the keeper that nobody is left.
    bond: UnixStream,
}

/// What lasts as long as the keeper does.
pub struct Bond {
    _socket: UnixStream,
}

/// Starts the process. To be called before this one has threads: the keeper ends with the thread that started it.
///
/// # Errors
/// No process could be started.
pub fn start(environment: &[(&str, String)]) -> io::Result<Started> {
    let (bond, theirs) = UnixStream::pair()?;
    let child = part::start(NAME, theirs.into(), environment)?;
    let (mut ours, keepers) = sockets::pairs(2 * AT_ONCE)?;
    part::send(&bond, &[0], &keepers)?;
    Ok(Started {
        child,
        others: ours.split_off(AT_ONCE),
        sockets: ours,
        bond,
    })
}

impl Started {
    /// Tells it what there is to keep; the answer comes when all of it could be opened.
    ///
    /// # Errors
    /// As [`Keeper::with_certificates`], or the process has ended.
    pub fn open(
        self,
        state: &Path,
        specs: &HashMap<String, CredentialSpec>,
        certificates: &HashMap<String, CertificateSpec>,
        rotation: Rotation,
    ) -> Result<(Keeper, Child, Bond), KeeperError> {
        let sockets = Sockets::new(self.sockets).map_err(|_| KeeperError::Gone)?;
        let opened = exchange(&sockets, &setup(state, specs, certificates, rotation))?;
        let Reply::Checked = opened else {
            return Err(KeeperError::Mismatch);
        };
        let keeper = Keeper::asking(
            Line::There(Arc::new(sockets)),
            Held::new(specs, certificates),
        );
        Ok((keeper, self.child, Bond { _socket: self.bond }))
    }
}

/// A keeper for a process that did not start it, over sockets it was given.
///
/// # Errors
/// They are no sockets.
pub fn joined(
    sockets: Vec<OwnedFd>,
    specs: &HashMap<String, CredentialSpec>,
    certificates: &HashMap<String, CertificateSpec>,
) -> io::Result<Keeper> {
    Ok(Keeper::asking(
        Line::There(Arc::new(Sockets::new(sockets)?)),
        Held::new(specs, certificates),
    ))
}

/// The keeper's own life.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the keeper ends");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let bond = part::socket()?;
    confine()?;
    let (got, asked) = part::receive(&bond, &mut [0])?;
    if got == 0 {
        return Ok(());
    }
    let mut asked: Vec<UnixStream> = asked.into_iter().map(UnixStream::from).collect();
    // The one that is used first on the other side.
    let Some(first) = asked.get_mut(AT_ONCE - 1) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let Some(bytes) = sockets::read(first)? else {
        return Ok(());
    };
    let opened = open(&bytes);
    let (vault, answer) = match opened {
        Ok(vault) => (Some(vault), Ok(Reply::Checked)),
        Err(error) => (None, Err(error)),
    };
    sockets::write(first, wire::reply(&answer).as_ref())?;
    let Some(vault) = vault.map(Arc::new) else {
        return Ok(());
    };
    for (index, stream) in asked.into_iter().enumerate() {
        let vault = Arc::clone(&vault);
        let asker = if index < AT_ONCE {
            Asker::Guard
        } else {
            Asker::Proxy
        };
        std::thread::Builder::new().spawn(move || answer_all(stream, &vault, asker))?;
    }
    // Nothing more comes this way: it ends when the other side does.
    part::receive(&bond, &mut [0])?;
    Ok(())
}

/// One question after the other. What is no question ends the socket, and with it, on the other side, the keeper.
fn answer_all(mut stream: UnixStream, vault: &Vault, asker: Asker) {
    while let Ok(Some(bytes)) = sockets::read(&mut stream) {
        let Ok(request) = wire::parse_request(&bytes) else {
            tracing::error!("what came is no question for the keeper");
            return;
        };
        let answer = wire::reply(&vault.ask(asker, request));
        if sockets::write(&mut stream, answer.as_ref()).is_err() {
            return;
        }
    }
}

fn confine() -> io::Result<()> {
    confine::ignore_stop_signals()?;
    confine::hide()?;
    confine::die_with_parent()?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    confine::keep_capabilities(&[confine::DAC_READ_SEARCH])?;
    nix::sys::prctl::set_no_new_privs()?;
    seccomp::refuse(&[REFUSED, seccomp::PRIVILEGED, seccomp::NEVER].concat())
}

/// The files, as one message.
fn setup(
    state: &Path,
    specs: &HashMap<String, CredentialSpec>,
    certificates: &HashMap<String, CertificateSpec>,
    rotation: Rotation,
) -> Packed {
    let mut out = Packed::with_room(ROOM);
    out.bytes(state.as_os_str().as_bytes());
    out.number(specs.len() as u64);
    for (service, spec) in specs {
        // No header has an empty name.
        let (header, prefix) = match &spec.presented {
            Presented::Header { name, prefix } => (name.as_str(), prefix.as_str()),
            Presented::Signature => ("", ""),
        };
        out.text(service).text(header).text(prefix);
        out.bytes(spec.file.as_os_str().as_bytes());
    }
    out.number(certificates.len() as u64);
    for (service, spec) in certificates {
        out.text(service)
            .bytes(spec.certificate.as_os_str().as_bytes())
            .bytes(spec.key.as_os_str().as_bytes());
    }
    out.number(rotation.life.as_secs())
        .tag(rotation.next_at)
        .tag(rotation.switch_at);
    out
}

fn open(bytes: &[u8]) -> Result<Vault, KeeperError> {
    let mut from = Unpacker(bytes);
    let path = |from: &mut Unpacker<'_>| -> Result<PathBuf, KeeperError> {
        Ok(PathBuf::from(OsStr::from_bytes(from.bytes()?)))
    };
    let state = path(&mut from)?;
    let specs = from.list(|from| {
        let (service, header, prefix) = (from.text()?, from.text()?, from.text()?);
        let name = header.parse::<HeaderName>();
        let presented = match name {
            _ if header.is_empty() => Presented::Signature,
            Ok(name) => Presented::Header { name, prefix },
            Err(_) => return Err(KeeperError::Mismatch),
        };
        let file = path(from)?;
        let spec = CredentialSpec { presented, file };
        Ok((service, spec))
    })?;
    let certificates = from.list(|from| {
        let service = from.text()?;
        let spec = CertificateSpec {
            certificate: path(from)?,
            key: path(from)?,
        };
        Ok((service, spec))
    })?;
    let rotation = Rotation {
        life: Duration::from_secs(from.number()?),
        next_at: from.tag()?,
        switch_at: from.tag()?,
    };
    from.end(())?;
    Vault::open(
        &state,
        specs.into_iter().collect(),
        certificates.into_iter().collect(),
        rotation,
    )
}

/// A signature takes some 50 us; the connections of one host do not ask for more at a time.
const AT_ONCE: usize = 4;
const ROOM: usize = 16 * 1024;

/// Beside files and its sockets it needs nothing.
const REFUSED: &[Rule] = &[
    Rule::Call(libc::SYS_socket),
    Rule::Call(libc::SYS_socketpair),
    Rule::Call(libc::SYS_connect),
    Rule::Call(libc::SYS_bind),
    Rule::Call(libc::SYS_listen),
    Rule::Call(libc::SYS_accept4),
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;

    use http::header::AUTHORIZATION;
    use rustls::pki_types::ServerName;
    use rustls::{SignatureAlgorithm, SignatureScheme};

    use super::*;

    /// A keeper whose vault is behind sockets, opened from a message as the process opens it.
    fn apart(state: &Path) -> [Keeper; 2] {
        let file = |name: &str, text: &str| {
            let path = state.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let spec = CredentialSpec {
            presented: Presented::Header {
                name: AUTHORIZATION,
                prefix: "Bearer ".to_owned(),
            },
            file: file("key", "sk-live-0123456789"),
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let signed = rcgen::CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key);
        let shown = CertificateSpec {
            certificate: file("certificate.pem", &signed.unwrap().pem()),
            key: file("key.pem", &key.serialize_pem()),
        };
        let specs = HashMap::from([("held".to_owned(), spec)]);
        let certificates = HashMap::from([("shown".to_owned(), shown)]);
        let mut message = Vec::new();
        message
            .extend_from_slice(setup(state, &specs, &certificates, Rotation::default()).as_ref());
        let vault = Arc::new(open(&message).unwrap());
        [Asker::Guard, Asker::Proxy].map(|asker| {
            let mut ours = Vec::new();
            for _ in 0..AT_ONCE {
                let (own, other) = UnixStream::pair().unwrap();
                ours.push(own.into());
                let vault = Arc::clone(&vault);
                std::thread::spawn(move || answer_all(other, &vault, asker));
            }
            joined(ours, &specs, &certificates).unwrap()
        })
    }

    #[test]
    fn the_process_that_talks_to_the_network_has_no_ca_made_and_none_without_limits() {
        let state = tempfile::tempdir().unwrap();
        let [guard, proxy] = apart(state.path());
        let limits = ["a.example".to_owned()];
        let asked = proxy.authority("agent").unwrap_err().to_string();
        assert!(asked.contains("no workload"), "{asked}");
        assert!(proxy.limit("agent", &[]).is_err());
        guard.limit("agent", &limits).unwrap();
        assert!(proxy.limit("agent", &[]).is_err());
        let authority = proxy.authority("agent").unwrap();
        assert_eq!(authority.cas().len(), 1);
        assert_eq!(authority.signing().names(), limits);
    }

    #[test]
    fn every_question_is_answered_across_the_boundary() {
        let state = tempfile::tempdir().unwrap();
        let [keeper, _] = apart(state.path());
        keeper.check().unwrap();
        assert!(keeper.fills("held") && keeper.holds("shown") && !keeper.holds("other"));

        let authority = keeper.authority("agent").unwrap();
        let name = ServerName::try_from("api.example").unwrap();
        let leaf = authority.leaf(&name).unwrap();
        assert_eq!(leaf.keys_match(), Ok(()));

        let scrub = keeper.scrub("other").unwrap();
        assert_eq!(scrub.whole(b"sk-live-0123456789"), b"sk-live-0123456789");
        let fill = keeper.fill("held").unwrap();
        assert_eq!(fill.value, "Bearer sk-live-0123456789");
        assert!(fill.value.is_sensitive());
        for _ in 0..2 {
            let scrub = keeper.scrub("other").unwrap();
            assert_eq!(scrub.whole(b"sk-live-0123456789"), b"[credential]******");
        }

        let here = Keeper::open(state.path()).unwrap();
        let own = here.fingerprint(b"sk-own").unwrap();
        assert!(keeper.fingerprint(b"sk-own").unwrap().matches(&own));

        let shown = keeper.client_certificates().unwrap();
        let key = &shown["shown"].key;
        assert_eq!(key.algorithm(), SignatureAlgorithm::ECDSA);
        assert!(key.choose_scheme(&[SignatureScheme::ED25519]).is_none());
        let scheme = SignatureScheme::ECDSA_NISTP256_SHA256;
        let signer = key
            .choose_scheme(&[SignatureScheme::RSA_PSS_SHA256, scheme])
            .unwrap();
        assert!(!signer.sign(b"transcript").unwrap().is_empty());

        let error = keeper.fill("nobody").unwrap_err().to_string();
        assert!(error.contains("nobody"), "{error}");
    }

    #[test]
    fn a_keeper_that_has_ended_answers_nothing_and_nobody_waits_for_it() {
        let (own, other) = UnixStream::pair().unwrap();
        let sockets = Sockets::new(vec![own.into()]).unwrap();
        let line = Line::There(Arc::new(sockets));
        let keeper = Keeper::asking(line, Held::new(&HashMap::new(), &HashMap::new()));
        drop(other);
        for _ in 0..3 {
            let asked = keeper.authority("agent");
            assert!(matches!(asked, Err(KeeperError::Gone)));
        }
    }

    #[test]
    fn what_is_no_question_is_refused_wherever_it_breaks_off() {
        let whole = wire::request(&super::super::Request::Leaf {
            workload: "agent".to_owned(),
            name: ServerName::try_from("api.example").unwrap(),
        });
        let bytes = whole.as_ref();
        assert!(wire::parse_request(bytes).is_ok());
        for cut in 0..bytes.len() {
            assert!(wire::parse_request(&bytes[..cut]).is_err(), "{cut}");
        }
        let longer = [bytes, b"x"].concat();
        assert!(wire::parse_request(&longer).is_err());
    }
}
