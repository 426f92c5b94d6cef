//! The variables that tell clients which certificates to trust.
//!
//! A variable that replaces a client's own store points at a bundle with what it named before, or else at the host's bundle,
//! plus the CA: a company's CA stays trusted. `NODE_OPTIONS` is never set (an option that one Node knows stops another from
//! starting), nor `PGSSLROOTCERT` (it turns `sslmode=require` into a verification that was not asked for).

mod prior;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

pub(super) use self::prior::Prior;
use self::prior::{Named, Part};
use super::anchor::{self, Anchor};
use super::files::{self, FileError};
use super::material::add_hashed;
use super::packages::Variables;
use super::pem;

/// Writes the files below `dir` and returns the variables that name them. `host` is a bundle with everything the host and the
/// packages found trust, without the CA.
pub(super) fn derive(
    prior: &Prior,
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
    for (names, otherwise) in [(REPLACING, &union), (ADDING, &alone), (WHERE_SET, &union)] {
        for name in names {
            let value = match prior.named.get(name) {
                Some(Ok(named)) => with_prior(name, named, anchors, dir)?,
                None if names == WHERE_SET => continue,
                Some(Err(_)) | None => otherwise.clone(),
            };
            variables.push((name.into(), value.into()));
        }
    }
    if !prior.directories.is_empty() {
        variables.push((DIRECTORIES.into(), directories(prior, anchors, dir)?));
    }
    if !prior.system {
        variables.push((SYSTEM.0.into(), SYSTEM.1.into()));
    }
    Ok(variables)
}

/// A copy of what `name` named, with the CA.
fn with_prior(
    name: &str,
    named: &Named,
    anchors: &[Anchor],
    dir: &Path,
) -> Result<PathBuf, FileError> {
    let copy = dir.join(name);
    match named {
        Named::Folder(certificates) => {
            write_folder(certificates, &copy)?;
            add_hashed(&copy, anchors)?;
        }
        Named::Bundle(content) => {
            let cas = anchor::bundle(anchors);
            files::write(&copy, pem::union(&[content, &cas]))?;
        }
    }
    Ok(copy)
}

/// The list as it was, with copies of those that the command will not see, and one directory more.
fn directories(prior: &Prior, anchors: &[Anchor], dir: &Path) -> Result<OsString, FileError> {
    let mut list = OsString::new();
    for (number, part) in prior.directories.iter().enumerate() {
        match part {
            Part::Stays(path) => list.push(path),
            Part::Copied(certificates) => {
                let copy = dir.join(format!("{DIRECTORIES}-{number}"));
                write_folder(certificates, &copy)?;
                list.push(copy);
            }
        }
        list.push(":");
    }
    let hashed = dir.join("hashed");
    files::directory(&hashed)?;
    add_hashed(&hashed, anchors)?;
    list.push(hashed);
    Ok(list)
}

fn write_folder(certificates: &[(OsString, String)], to: &Path) -> Result<(), FileError> {
    files::directory(to)?;
    for (name, content) in certificates {
        files::write(&to.join(name), content)?;
    }
    Ok(())
}

/// The variables by which a client reads a file and no other.
pub(super) fn replacing() -> impl Iterator<Item = &'static str> {
    REPLACING.iter().chain(WHERE_SET).copied()
}

/// The files of certificates that the variables of a process name, in the calling thread's view, resolved, each once. One with a private key in it is
/// for a server as well, and stays as it is.
pub(super) fn bundles(variables: &Variables) -> Vec<PathBuf> {
    let names = replacing().chain(ADDING.iter().copied());
    let named = names.filter_map(|name| variables.get(OsStr::new(name)));
    // Where the process stands is not asked: it may have gone elsewhere since it read the variable.
    let named = named
        .map(Path::new)
        .filter(|path| path.is_absolute())
        .filter_map(|path| fs::canonicalize(path).ok());
    let resolved: BTreeSet<PathBuf> = named.collect();
    let public = |path: &PathBuf| {
        files::read(path).is_ok_and(|text| pem::is_bundle(&text) && !pem::has_key(&text))
    };
    resolved.into_iter().filter(public).collect()
}

/// Variables for clients that read no system store, as `NAME=VALUE`; each names `bundle`, a file that is there without Tollgate too.
pub fn naming(bundle: &str) -> impl Iterator<Item = String> {
    let names = [REPLACING, ADDING].concat().into_iter();
    let (name, value) = SYSTEM;
    names
        .map(move |name| format!("{name}={bundle}"))
        .chain([format!("{name}={value}")])
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

/// The client reads this file, or folder, and no other where it is set. Unset, it reads what one of those above names, or the system's.
const WHERE_SET: &[&str] = &[
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
    "YARN_CAFILE",
    "YARN_CA_FILE_PATH",
    "YARN_HTTPS_CA_FILE_PATH",
    "NIX_SSL_CERT_FILE",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CODEX_CA_CERTIFICATE",
    "WEBSOCKET_CLIENT_CA_BUNDLE",
    "PERL_LWP_SSL_CA_FILE",
    "PERL_LWP_SSL_CA_PATH",
    "HTTPS_CA_FILE",
    "HTTPS_CA_DIR",
    "BUNDLE_SSL_CA_CERT",
    "COMPOSER_CAFILE",
    "HEX_CACERTS_PATH",
    "VAULT_CACERT",
];

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
        hidden(before, dir, &[])
    }

    fn hidden(before: &[(&str, &Path)], dir: &Path, hidden: &[PathBuf]) -> Variables {
        let anchor = Anchor {
            pem: CA.into(),
            der: b"CA".to_vec(),
            hash: "0a1b2c3d".into(),
        };
        let before = before
            .iter()
            .map(|(name, path)| ((*name).into(), path.as_os_str().to_owned()))
            .collect();
        let prior = Prior::read(&before, &[], hidden);
        derive(&prior, &[anchor], HOST.as_bytes(), dir)
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

    #[test]
    fn those_of_single_programs_are_derived_where_they_are_set() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own.pem");
        fs::write(&own, OWN).unwrap();
        for name in WHERE_SET {
            let dir = dir.path().join(name);
            let variables = derived(&[(name, &own)], &dir);
            assert_eq!(content(&variables, name), format!("{OWN}{CA}"), "{name}");
            let variables = derived(&[(name, Path::new("/missing"))], &dir);
            assert_eq!(content(&variables, name), format!("{HOST}{CA}"), "{name}");
        }
    }

    #[test]
    fn what_a_process_names_is_covered_unless_it_is_more_than_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let file = |name: &str, text: &str| {
            fs::write(root.join(name), text).unwrap();
            root.join(name)
        };
        let own = file("own.pem", OWN);
        std::os::unix::fs::symlink(&own, root.join("link.pem")).unwrap();
        let key = "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n";
        let variables = [
            ("SSL_CERT_FILE", own.clone()),
            ("npm_config_cafile", root.join("link.pem")),
            ("PIP_CERT", file("server.pem", &format!("{OWN}{key}"))),
            ("DENO_CERT", file("none.pem", "nothing")),
            ("CURL_CA_BUNDLE", root.join("missing.pem")),
            ("GIT_SSL_CAINFO", root.clone()),
            ("AWS_CA_BUNDLE", "own.pem".into()),
        ];
        let variables = variables.map(|(name, path)| (name.into(), path.into()));
        assert_eq!(bundles(&Variables::from(variables)), [own]);
    }

    #[test]
    fn directories_that_the_command_will_not_see_are_copied_in_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("11223344.0"), OWN).unwrap();
        let list = format!("/a:{}:/b", own.display());
        let to = dir.path().join("t");
        let before = [("SSL_CERT_DIR", Path::new(&list))];
        let variables = hidden(&before, &to, &[dir.path().to_owned()]);
        let list = variables[OsStr::new("SSL_CERT_DIR")].to_str().unwrap();
        let parts: Vec<&str> = list.split(':').collect();
        assert!(matches!(parts[..], ["/a", _, "/b", _]), "{list}");
        let copy = Path::new(parts[1]);
        assert!(copy.starts_with(&to), "{list}");
        assert_eq!(fs::read_to_string(copy.join("11223344.0")).unwrap(), OWN);
    }
}
