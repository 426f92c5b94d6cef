//! What the caller's variables name, read while it is there: a launch has a /run of its own, in which it is not.
//!
//! In: the caller's environment. Out: the certificates of each file and folder, and of each one without any why, to be told.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{ADDING, DIRECTORIES, REPLACING, SYSTEM, WHERE_SET};
use crate::trust::files::{self, FileError};
use crate::trust::packages::Variables;
use crate::trust::pem;

/// What variables named before.
#[derive(Debug)]
pub(in crate::trust) struct Prior {
    /// By the variable; one that is not set, or empty, is not among them.
    pub(super) named: BTreeMap<&'static str, Result<Named, Unread>>,
    /// The list of directories, where there is one.
    pub(super) directories: Vec<Part>,
    /// Whether uv was told which roots it is to use.
    pub(super) system: bool,
}

/// Certificates and nothing else.
#[derive(Debug)]
pub(super) enum Named {
    /// Of a file.
    Bundle(String),
    /// Of the files of a folder, by their names.
    Folder(Vec<(OsString, String)>),
}

/// One of a list of directories.
#[derive(Debug)]
pub(super) enum Part {
    /// The command sees it as the caller does.
    Stays(OsString),
    /// It is not there for the command.
    Copied(Vec<(OsString, String)>),
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} has no certificates in PEM", .0.display())]
    Nothing(PathBuf),
}

impl Prior {
    /// Reads what the variables name but for those that stay `untouched`. Nothing below the `hidden` folders will be there later.
    pub(in crate::trust) fn read(
        before: &Variables,
        untouched: &[String],
        hidden: &[PathBuf],
    ) -> Self {
        let set = |name: &str| {
            let value = before.get(OsStr::new(name));
            value.filter(|value| !value.is_empty() && !untouched.iter().any(|kept| kept == name))
        };
        let names = [REPLACING, ADDING, WHERE_SET].concat().into_iter();
        let named = names.filter_map(|name| Some((name, read(Path::new(set(name)?)))));
        let list = set(DIRECTORIES).map(|list| list.as_bytes());
        let parts = list.map(|list| list.split(|byte| *byte == b':'));
        let part = |path: &[u8]| {
            let path = Path::new(OsStr::from_bytes(path));
            let leads = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            let copied = hidden.iter().any(|folder| leads.starts_with(folder));
            match copied.then(|| folder(path)) {
                Some(Ok(certificates)) => Part::Copied(certificates),
                // One that is not there either way is nothing new.
                Some(Err(_)) | None => Part::Stays(path.into()),
            }
        };
        Self {
            named: named.collect(),
            directories: parts.into_iter().flatten().map(part).collect(),
            system: set(SYSTEM.0).is_some(),
        }
    }

    /// What is to be said of those that could not be read, once for each path.
    pub(in crate::trust) fn untold(&self) -> Vec<String> {
        let mut told: Vec<(String, Vec<&str>)> = Vec::new();
        let unread = self.named.iter();
        for (name, error) in unread.filter_map(|(name, read)| Some((*name, read.as_ref().err()?))) {
            let error = error.to_string();
            match told.iter_mut().find(|(before, _)| *before == error) {
                Some((_, names)) => names.push(name),
                None => told.push((error, vec![name])),
            }
        }
        let said = told.into_iter().map(|(error, names)| {
            format!(
                "{error}; {} named it: what it should hold is not trusted, the host's certificates and the CA are",
                names.join(", ")
            )
        });
        said.collect()
    }
}

fn read(path: &Path) -> Result<Named, Unread> {
    if path.is_dir() {
        return Ok(Named::Folder(folder(path)?));
    }
    let content = files::read(path)?;
    match pem::is_bundle(&content) {
        true => Ok(Named::Bundle(pem::union(&[content]))),
        false => Err(Unread::Nothing(path.to_owned())),
    }
}

/// The certificates of each file. All users may read the copy, so nothing else is taken along.
fn folder(path: &Path) -> Result<Vec<(OsString, String)>, FileError> {
    let mut certificates = Vec::new();
    for entry in fs::read_dir(path).map_err(files::failed("list", path))? {
        let name = entry.map_err(files::failed("list", path))?.file_name();
        let content = files::read(&path.join(&name)).map(|content| pem::union(&[content]));
        if let Some(content) = content.ok().filter(|text| !text.is_empty()) {
            certificates.push((name, content));
        }
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_told_once_with_every_variable_that_names_it() {
        let pair = |name: &str, value: &str| (name.into(), value.into());
        let before = Variables::from([
            pair("SSL_CERT_FILE", "/missing.pem"),
            pair("PIP_CERT", "/missing.pem"),
            pair("DENO_CERT", "/etc/hostname"),
            pair("REQUESTS_CA_BUNDLE", "/other.pem"),
            pair("CURL_CA_BUNDLE", ""),
        ]);
        let untouched = ["REQUESTS_CA_BUNDLE".to_owned()];
        let untold = Prior::read(&before, &untouched, &[]).untold();
        let [nothing, missing] = &untold[..] else {
            panic!("{untold:?}");
        };
        assert!(
            missing.starts_with("cannot read /missing.pem: No such file"),
            "{missing}"
        );
        assert!(
            missing.contains("; PIP_CERT, SSL_CERT_FILE named it: "),
            "{missing}"
        );
        assert!(
            nothing.starts_with("/etc/hostname has no certificates in PEM; DENO_CERT named"),
            "{nothing}"
        );
    }
}
