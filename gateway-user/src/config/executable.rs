//! Executables of a workload that run as a stricter identity.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{ConfigError, Credentials, Identity, raw};

/// A rule: connections of this executable are those of another identity, which never has a held credential.
#[derive(Clone, Debug)]
pub struct ExecutableRule {
    /// The executable.
    pub executable: Executable,
    /// Who it is.
    pub identity: Arc<Identity>,
}

/// How an executable is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executable {
    /// The file at this path, by device and inode.
    Path(PathBuf),
    /// Any file with this SHA-256 digest.
    Digest([u8; 32]),
}

impl fmt::Display for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Digest(digest) => {
                f.write_str("sha256:")?;
                digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

pub(super) fn check(
    raw: raw::Executable,
    workload: &Arc<Identity>,
    identities: &[Arc<Identity>],
) -> Result<ExecutableRule, ConfigError> {
    let identity = super::workload::known(raw.identity, identities)?;
    // An identity that holds nothing can be given away; one that holds something cannot be had by running a file.
    if identity.credentials == Credentials::Served || identity.id == workload.id {
        return Err(ConfigError::NotStricter {
            identity: identity.id.clone(),
        });
    }
    let executable = match (raw.path, raw.sha256.as_deref().map(digest)) {
        (Some(path), None) if path.is_absolute() => Executable::Path(path),
        (None, Some(Some(digest))) => Executable::Digest(digest),
        _ => {
            return Err(ConfigError::Executable {
                identity: identity.id.clone(),
            });
        }
    };
    Ok(ExecutableRule {
        executable,
        identity,
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn rule(target: &str, rule: &str) -> Result<Config, ConfigError> {
        let text = format!(
            "[[identity]]\nid = \"a\"\ncredentials = false\n[[identity]]\nid = \"b\"\n{target}\n[[workload]]\nidentity = \"a\"\ncgroup = \"/x\"\n[[workload.executable]]\n{rule}\n"
        );
        Config::parse(&text, Path::new("/"))
    }

    #[test]
    fn a_rule_leads_to_an_identity_without_credentials() {
        let config = rule(
            "credentials = false",
            "path = \"/bin/git\"\nidentity = \"b\"",
        )
        .unwrap();
        let rule_of = &config.workloads[0].executables[0];
        assert_eq!(rule_of.identity.id, "b");
        assert_eq!(rule_of.executable.to_string(), "/bin/git");
        let digest = "0f".repeat(32);
        let config = rule(
            "credentials = false",
            &format!("sha256 = \"{digest}\"\nidentity = \"b\""),
        )
        .unwrap();
        assert_eq!(
            config.workloads[0].executables[0].executable.to_string(),
            format!("sha256:{digest}")
        );
    }

    #[test]
    fn a_rule_that_could_widen_or_matches_nothing_is_refused() {
        for (target, text, expect) in [
            (
                "",
                "path = \"/bin/git\"\nidentity = \"b\"",
                "credentials = false",
            ),
            (
                "credentials = false",
                "path = \"/bin/git\"\nidentity = \"a\"",
                "credentials = false",
            ),
            (
                "credentials = false",
                "path = \"/bin/git\"\nidentity = \"c\"",
                "no identity",
            ),
            (
                "credentials = false",
                "path = \"git\"\nidentity = \"b\"",
                "absolute",
            ),
            ("credentials = false", "identity = \"b\"", "absolute"),
            (
                "credentials = false",
                "sha256 = \"0f\"\nidentity = \"b\"",
                "64",
            ),
        ] {
            let error = rule(target, text).unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
