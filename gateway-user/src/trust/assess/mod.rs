//! What a process makes of the workload's CA: whether it trusts it now, after a restart, or never, with the reason and the remedy.
//!
//! In: what /proc shows of the process, and what came of its handshakes. Out: a [`Verdict`]. What was seen comes before what is expected.

mod kind;
mod look;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use kind::Kind;
pub use look::{began, compiled_in, look};

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
    /// Whether it may read others, where `SSL_CERT_FILE` names them.
    pub variable: bool,
    /// The runtime that its executable has in it.
    runtime: Kind,
    /// Whether it was told to read the system's certificates, which its runtime does not do by itself.
    pub system: bool,
    /// Whether it sees the policy by which a browser adds the CA.
    pub policy: bool,
    /// Whether it is a Go program, or has the gRPC library in it: these read their roots once.
    pub once: Option<&'static str>,
    /// A variable that leads it to certificates without the CA.
    pub misled: Option<&'static str>,
    /// Variables that lead programs of its kind to certificates without the CA, where they read them.
    pub named: Vec<&'static str>,
    /// The bundles that it was seen to open, the last one last.
    pub opened: Vec<Seen>,
    /// Whether these are all, as far as it can be seen: each mount was watched since its program began, and nothing was lost.
    pub watched: bool,
    /// Whether `tollgate run` has started it.
    pub launched: bool,
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

/// A bundle that a process was seen to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where it lies, as the process sees it.
    pub path: PathBuf,
    /// Whether it had the CA then.
    pub held: bool,
    /// Whether it has it now.
    pub holds: bool,
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
    /// The bundle without the CA that it has opened, by which it may have come to refuse.
    pub bundle: Option<PathBuf>,
}

/// What is to be said of a process.
#[must_use]
pub fn assess(facts: &Facts) -> Verdict {
    let verdict = |standing, reason: &str, remedy: String| Verdict {
        standing,
        reason: reason.to_owned(),
        remedy,
        bundle: None,
    };
    let kind = Kind::called(&facts.exe, facts.runtime);
    let blamed = facts.blamed();
    match &facts.refused {
        _ if facts.trusted => {
            return verdict(Standing::Trusts, "it has sent requests", String::new());
        }
        // What it opened besides may be for anything.
        Some(refused) if facts.elsewhere => {
            let remedy = "let policy permit tls.splice for the service, so that it passes unopened, or change its pins";
            let besides = blamed.map_or_else(String::new, |seen| {
                format!("{}, and may verify this name with it", facts.lacking(seen))
            });
            let reason = format!("it trusts the CA for other names; here {refused}{besides}");
            return verdict(Standing::Pinned, &reason, remedy.to_owned());
        }
        Some(refused) if refused.contains("does not accept") && !kind.says_unknown() => {
            let remedy = "please report this: the certificate is not as its TLS library wants it";
            return verdict(Standing::Defect, refused, remedy.to_owned());
        }
        _ => {}
    }
    let own = kind.names_its_own(&facts.environment) && facts.misled.is_none();
    if !facts.sees && !own {
        let reason = facts.left.as_deref();
        let reason = reason.unwrap_or("its view of the certificates has no CA of Tollgate");
        let read = blamed.map_or_else(String::new, |seen| facts.lacking(seen));
        let reason = format!("{reason}{read}");
        return Verdict {
            bundle: blamed.map(|seen| seen.path.clone()),
            ..verdict(Standing::Shared, &reason, own_view(facts))
        };
    }
    if let Some(variable) = kind.lacks(&facts.environment).filter(|_| !facts.system) {
        let reason = format!(
            "{} has its own roots and {variable} is not set",
            kind.name()
        );
        return verdict(Standing::Restart, &reason, restart_with_variables(facts));
    }
    if let Some(variable) = facts.misled.filter(|_| !facts.system) {
        let reason = format!(
            "{} has its own roots, and the file that {variable} names does not have the CA",
            kind.name()
        );
        return verdict(Standing::Restart, &reason, restart_with_variables(facts));
    }
    if let (Some(refused), Some(seen)) = (&facts.refused, blamed) {
        let (standing, remedy) = match seen.holds {
            true => (
                Standing::Restart,
                "restart it: the bundle has the CA by now",
            ),
            false => (
                Standing::Refuses,
                read_elsewhere(facts.launched, &seen.path),
            ),
        };
        let reason = format!("{refused}{}", facts.lacking(seen));
        return Verdict {
            bundle: Some(seen.path.clone()),
            ..verdict(standing, &reason, remedy.to_owned())
        };
    }
    if let Some(refused) = facts.refused.as_ref().filter(|_| !facts.named.is_empty()) {
        let reason = format!(
            "{refused}; the file that {} names does not have the CA",
            facts.named.join(" or ")
        );
        return verdict(Standing::Refuses, &reason, NAMED.to_owned());
    }
    if kind == Kind::Chromium && !facts.policy {
        return verdict(Standing::Impossible, CHROMIUM, BROWSER.to_owned());
    }
    if kind == Kind::Chromium && facts.late {
        let reason = "Chromium reads policies when it begins, and it began before one had the CA";
        return verdict(Standing::Restart, reason, "restart it".to_owned());
    }
    if facts.compiled_in && kind == Kind::Other {
        if !facts.variable {
            return verdict(Standing::Impossible, COMPILED_IN, SPLICE.to_owned());
        }
        if facts.environment.get(TOLD).is_none_or(String::is_empty) {
            let reason = format!(
                "it has roots of its own, and may read others only where {TOLD}, which is not set, names them"
            );
            return verdict(Standing::Restart, &reason, restart_with_variables(facts));
        }
    }
    let has_read = facts.opened.iter().any(|seen| seen.held);
    let late = facts.late && !has_read;
    if late && (kind.reads_once() || facts.once == Some(GO)) {
        let name = if facts.once == Some(GO) {
            GO
        } else {
            kind.name()
        };
        let reason = format!(
            "{name} reads its roots once, for its first connection, and it began before the CA was there"
        );
        let remedy = match facts.refused {
            Some(_) => "restart it",
            None => "restart it, unless it has made no TLS connection yet",
        };
        return verdict(Standing::Restart, &reason, remedy.to_owned());
    }
    if let Some(refused) = &facts.refused {
        let (standing, reason, remedy) = refusing(facts, refused, late);
        return verdict(standing, &reason, remedy.to_owned());
    }
    let reason = "the certificates it reads have the CA";
    let remedy = facts.next.as_ref();
    let remedy = remedy.filter(|_| kind.reads_once() || facts.once.is_some());
    let remedy = remedy.map(|from| format!("restart it before {from}, when the next CA signs"));
    verdict(Standing::Effective, reason, remedy.unwrap_or_default())
}

/// What is to be expected of a process whose workload is yet to be governed: it gets the CA then, except where somebody else lives in its mount
/// namespace, which `shared` says.
#[must_use]
pub fn expect(mut facts: Facts, shared: Option<String>) -> Verdict {
    facts.sees = shared.is_none();
    facts.late = facts.sees;
    let named = Kind::called(&facts.exe, facts.runtime).named(&facts.environment);
    facts.misled = named.map(|(variable, _)| variable).filter(|_| !facts.sees);
    facts.left = shared;
    let verdict = assess(&facts);
    match verdict.standing {
        Standing::Effective => Verdict {
            reason: "the certificates it reads will have the CA".to_owned(),
            ..verdict
        },
        _ => verdict,
    }
}

/// One that has read no bundle without the CA, as far as that was seen.
fn refusing(facts: &Facts, refused: &str, late: bool) -> (Standing, String, &'static str) {
    if late {
        let what = facts.once.unwrap_or("it");
        let reason =
            format!("{refused}; it began before the CA was there, and {what} has read its roots");
        return (Standing::Restart, reason, "restart it");
    }
    if let Some(seen) = facts.opened.last() {
        let path = seen.path.display();
        let reason =
            format!("{refused}; it opened {path}, which has the CA, and refuses all the same");
        let remedy = "it pins the certificate or has other roots as well: permit tls.splice for the service, or leave it refused";
        return (Standing::Refuses, reason, remedy);
    }
    // One that looks in a folder opens nothing where no name in it fits.
    if facts.watched && !facts.environment.contains_key("SSL_CERT_DIR") {
        let reason = format!(
            "{refused}; it was not seen to open a bundle: its roots may be compiled in or in a folder of its own, or it pins the certificate"
        );
        return (Standing::Refuses, reason, SPLICE);
    }
    let reason = format!("{refused}; which bundle it opened is not known");
    let remedy = "see which bundle it names in its code; `tollgate run` covers the common ones";
    (Standing::Refuses, reason, remedy)
}

impl Facts {
    /// The bundle by which it may have come to refuse: the last one that did not have the CA.
    fn blamed(&self) -> Option<&Seen> {
        let latest = self.opened.iter().rev();
        latest
            .filter(|_| self.refused.is_some())
            .find(|seen| !seen.held)
    }

    /// What is said of a bundle without the CA: of several that it opened it is not known which one it verified with.
    fn lacking(&self, seen: &Seen) -> String {
        let since = match seen.holds {
            true => "did not have the CA yet",
            false => "does not have the CA",
        };
        let besides = match self.opened.iter().any(|of| of.held) {
            true => ", and others that have it",
            false => "",
        };
        format!(
            "; it opened {}, which {since}{besides}",
            seen.path.display()
        )
    }
}

/// What helps one that reads this bundle of its own.
#[must_use]
pub fn read_elsewhere(launched: bool, bundle: &Path) -> &'static str {
    match launched {
        // Nothing takes the place of a keystore when it is opened.
        _ if is_keystore(bundle) => {
            "let it read the keystore of its Java home, which JAVA_HOME names, in place of one that javax.net.ssl.trustStore names"
        }
        true => "start it by `tollgate run --trust=fdsubst`, or let it read the system's bundle",
        false => {
            "let it read the system's bundle, or the one that a variable such as SSL_CERT_FILE names"
        }
    }
}

/// Is this called as Java's keystores are?
fn is_keystore(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ends = ending.is_some_and(|ending| ["jks", "p12", "pfx", "ks"].contains(&ending));
    ends || path.ends_with("cacerts")
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

/// What is said of a program in Go.
pub(super) const GO: &str = "Go";
/// Of one that has the gRPC library in it.
pub(super) const GRPC: &str = "gRPC";
/// The variable by which programs with roots of their own read others.
const TOLD: &str = "SSL_CERT_FILE";
/// What helps one whose variable names a file of its own.
const NAMED: &str = "set the variable before `tollgate run`, which adds the CA to what it names, or let it name the system's bundle";
/// Why it never trusts.
const COMPILED_IN: &str = "its roots are compiled in, and no variable is known that adds to them";
/// Why Chromium and its relatives do not trust.
const CHROMIUM: &str = "Chromium has its own roots, and the folder of policies, which may add to them, is not there or has no CA";
/// What can be done about that.
const BROWSER: &str = "make the folder (/etc/chromium, or /etc/opt/chrome, /etc/opt/chrome_for_testing or /etc/opt/edge) and start it again; or add the CA to its user's database (`certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n tollgate -i FILE`, with the file in /usr/local/share/ca-certificates); or let policy permit tls.splice for the service";
/// What can be done about it.
const SPLICE: &str =
    "let policy permit tls.splice for the service, so that it passes unopened, or leave it refused";

#[cfg(test)]
mod tests;
