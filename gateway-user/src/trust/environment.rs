//! The variables that tell clients which certificates to trust.
//!
//! A variable that replaces a client's own store points at a bundle with what it named before, or else at the host's bundle,
//! plus the CA: a company's CA stays trusted. `NODE_OPTIONS` is never set (an option that one Node knows stops another from
//! starting), nor `PGSSLROOTCERT` (it turns `sslmode=require` into a verification that was not asked for).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::anchor::{self, Anchor};
use super::files::{self, FileError};
use super::material::add_hashed;
use super::packages::Variables;
use super::pem;

/// Writes the files below `dir` and returns the variables that name them. `host` is a bundle with everything the host and the
/// packages found trust, without the CA.
pub(super) fn derive(
    before: &Variables,
    anchors: &[Anchor],
    host: &[u8],
    dir: &Path,
) -> Result<Vec<(OsString, OsString)>, FileError> {
    files::directory(dir)?;
    let cas = anchor::bundle(anchors);
    let union = dir.join("union.pem");
    files::write(&union, pem::union(&[host, cas.as_bytes()]))?;
    let alone = dir.join(ALONE);
    files::write(&alone, cas)?;

    let mut variables = Vec::new();
    for (names, otherwise) in [(REPLACING, &union), (ADDING, &alone)] {
        for name in names {
            let derived = match named(before, name) {
                Some(path) => with_prior(name, &path, anchors, dir)?,
                None => None,
            };
            variables.push((
                name.into(),
                derived.unwrap_or_else(|| otherwise.clone()).into(),
            ));
        }
    }
    if let Some(mut directories) = before
        .get(OsStr::new(DIRECTORIES))
        .filter(|value| !value.is_empty())
        .cloned()
    {
        let hashed = dir.join("hashed");
        files::directory(&hashed)?;
        add_hashed(&hashed, anchors)?;
        directories.push(":");
        directories.push(hashed);
        variables.push((DIRECTORIES.into(), directories));
    }
    if named(before, SYSTEM.0).is_none() {
        variables.push((SYSTEM.0.into(), SYSTEM.1.into()));
    }
    Ok(variables)
}

/// What the variable names; empty is unset.
fn named(before: &Variables, name: &str) -> Option<PathBuf> {
    before
        .get(OsStr::new(name))
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// A copy of what `name` named, with the CA: a bundle, or a directory of certificates. Nothing where it named neither.
fn with_prior(
    name: &str,
    prior: &Path,
    anchors: &[Anchor],
    dir: &Path,
) -> Result<Option<PathBuf>, FileError> {
    let copy = dir.join(name);
    if prior.is_dir() {
        copy_certificates(prior, &copy)?;
        add_hashed(&copy, anchors)?;
        return Ok(Some(copy));
    }
    let content = files::read(prior)
        .ok()
        .filter(|content| pem::is_bundle(content));
    let Some(content) = content else {
        warn!(variable = name, path = %prior.display(), "no certificates there: the host's are used instead");
        return Ok(None);
    };
    let cas = anchor::bundle(anchors);
    files::write(&copy, pem::union(&[&content, cas.as_bytes()]))?;
    Ok(Some(copy))
}

/// Variables for clients that read no system store, as `NAME=VALUE`; each names `bundle`, a file that is there without Tollgate too.
pub fn naming(bundle: &str) -> impl Iterator<Item = String> {
    let names = [REPLACING, ADDING].concat().into_iter();
    let (name, value) = SYSTEM;
    names
        .map(move |name| format!("{name}={bundle}"))
        .chain([format!("{name}={value}")])
}

/// The certificates of each file, under the same names. All users may read the copy, so nothing else is taken along.
fn copy_certificates(from: &Path, to: &Path) -> Result<(), FileError> {
    files::directory(to)?;
    for entry in fs::read_dir(from).map_err(files::failed("list", from))? {
        let name = entry.map_err(files::failed("list", from))?.file_name();
        let certificates = files::read(&from.join(&name)).map(|content| pem::union(&[content]));
        if let Some(certificates) = certificates.ok().filter(|text| !text.is_empty()) {
            files::write(&to.join(name), certificates)?;
        }
    }
    Ok(())
}

/// The CAs and nothing else.
pub(super) const ALONE: &str = "ca.pem";

/// The client reads this file and no other.
const REPLACING: &[&str] = &[
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
];

/// The client reads this file besides what is compiled in.
const ADDING: &[&str] = &["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// Changed only where it is set: the host's own directory has the CA already.
const DIRECTORIES: &str = "SSL_CERT_DIR";

/// uv has its own roots compiled in unless told.
const SYSTEM: (&str, &str) = ("UV_SYSTEM_CERTS", "1");

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const HOST: &str = "-----BEGIN CERTIFICATE-----\nSE9TVA==\n-----END CERTIFICATE-----\n";
    const OWN: &str = "-----BEGIN CERTIFICATE-----\nT1dO\n-----END CERTIFICATE-----\n";
    const CA: &str = "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n";

    fn derived(before: &[(&str, &Path)], dir: &Path) -> Variables {
        let anchor = Anchor {
            pem: CA.into(),
            der: b"CA".to_vec(),
            hash: "0a1b2c3d".into(),
        };
        let before = before
            .iter()
            .map(|(name, path)| ((*name).into(), path.as_os_str().to_owned()))
            .collect();
        derive(&before, &[anchor], HOST.as_bytes(), dir)
            .unwrap()
            .into_iter()
            .collect()
    }

    fn content(variables: &Variables, name: &str) -> String {
        fs::read_to_string(&variables[OsStr::new(name)]).unwrap()
    }

    #[test]
    fn unset_variables_name_the_union_or_the_ca() {
        let dir = tempfile::tempdir().unwrap();
        let variables = derived(&[("SSL_CERT_FILE", Path::new(""))], &dir.path().join("t"));
        for name in REPLACING {
            assert_eq!(content(&variables, name), format!("{HOST}{CA}"), "{name}");
        }
        for name in ADDING {
            assert_eq!(content(&variables, name), CA, "{name}");
        }
        assert_eq!(variables[OsStr::new("UV_SYSTEM_CERTS")], "1");
        assert!(!variables.contains_key(OsStr::new("SSL_CERT_DIR")));
        assert_eq!(variables.len(), REPLACING.len() + ADDING.len() + 1);
    }

    #[test]
    fn set_variables_keep_what_they_named() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own.pem");
        fs::write(&own, OWN).unwrap();
        let before = [
            ("SSL_CERT_FILE", own.as_path()),
            ("NODE_EXTRA_CA_CERTS", &own),
            ("UV_SYSTEM_CERTS", Path::new("0")),
        ];
        let variables = derived(&before, &dir.path().join("t"));
        assert_eq!(content(&variables, "SSL_CERT_FILE"), format!("{OWN}{CA}"));
        assert_eq!(
            content(&variables, "NODE_EXTRA_CA_CERTS"),
            format!("{OWN}{CA}")
        );
        assert_eq!(content(&variables, "PIP_CERT"), format!("{HOST}{CA}"));
        assert!(!variables.contains_key(OsStr::new("UV_SYSTEM_CERTS")));
    }

    #[test]
    fn a_directory_becomes_a_copy_with_certificates_only() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("11223344.0"), OWN).unwrap();
        fs::write(
            own.join("secret.key"),
            "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        let variables = derived(
            &[("REQUESTS_CA_BUNDLE", own.as_path())],
            &dir.path().join("t"),
        );
        let copy = PathBuf::from(&variables[OsStr::new("REQUESTS_CA_BUNDLE")]);
        assert_eq!(fs::read_to_string(copy.join("11223344.0")).unwrap(), OWN);
        assert_eq!(fs::read_to_string(copy.join("0a1b2c3d.0")).unwrap(), CA);
        assert!(!copy.join("secret.key").exists());
    }

    #[test]
    fn a_list_of_directories_gets_one_more() {
        let dir = tempfile::tempdir().unwrap();
        let variables = derived(&[("SSL_CERT_DIR", Path::new("/a:/b"))], dir.path());
        let hashed = dir.path().join("hashed");
        assert_eq!(
            variables[OsStr::new("SSL_CERT_DIR")],
            *format!("/a:/b:{}", hashed.display())
        );
        assert_eq!(fs::read_to_string(hashed.join("0a1b2c3d.0")).unwrap(), CA);
    }

    #[test]
    fn a_file_without_certificates_is_no_reason_to_copy_it() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("shadow");
        fs::write(&other, "root:x:\n").unwrap();
        let variables = derived(
            &[
                ("CURL_CA_BUNDLE", other.as_path()),
                ("PIP_CERT", Path::new("/missing")),
            ],
            &dir.path().join("t"),
        );
        assert_eq!(content(&variables, "CURL_CA_BUNDLE"), format!("{HOST}{CA}"));
        assert_eq!(content(&variables, "PIP_CERT"), format!("{HOST}{CA}"));
    }
}
