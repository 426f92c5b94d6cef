//! Writes the copies with the CA added, and says over which originals they go.
//!
//! In: the places of this host, the bundles that packages bring. Out: files below one directory and a list of binds. Originals
//! are read through the caller's view, before anything is bound.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::anchor::Anchor;
use super::files::{self, FileError};
use super::places::Places;
use super::{jks, pem};

/// A copy and the original it stands for. Both are directories, or both are files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) copy: PathBuf,
    pub(super) original: PathBuf,
}

/// The copies made so far.
#[derive(Debug)]
pub(super) struct Material<'a> {
    anchor: &'a Anchor,
    now_ms: u64,
    dir: PathBuf,
    pub(super) binds: Vec<Bind>,
}

impl<'a> Material<'a> {
    /// Copies go below `dir`; keystore entries are dated `now_ms`.
    pub(super) fn new(anchor: &'a Anchor, now_ms: u64, dir: PathBuf) -> Self {
        Self {
            anchor,
            now_ms,
            dir,
            binds: Vec::new(),
        }
    }

    /// The host's certificate directories, with the CA in every form.
    pub(super) fn host(&mut self, places: &Places) -> Result<(), FileError> {
        for original in &places.directories {
            let copy = self.fresh();
            files::directory(&self.dir)?;
            files::copy_tree(original, &copy)?;
            self.binds.push(Bind {
                copy,
                original: original.clone(),
            });
        }
        for directory in &places.hashed {
            add_hashed(&self.copy_of(directory), self.anchor)?;
        }
        for directory in &places.anchors {
            files::write(&self.copy_of(directory).join(ANCHOR), &self.anchor.pem)?;
        }
        for bundle in &places.bundles {
            self.bundle(bundle)?;
        }
        for keystore in &places.keystores {
            self.keystore(keystore)?;
        }
        Ok(())
    }

    /// One PEM bundle, copied alone unless its directory is.
    pub(super) fn bundle(&mut self, original: &Path) -> Result<(), FileError> {
        let content = pem::union(&[&files::read(original)?, self.anchor.pem.as_bytes()]);
        self.put(original, content.as_bytes())
    }

    /// One Java keystore, likewise. One of another format or password stays as it is.
    pub(super) fn keystore(&mut self, original: &Path) -> Result<(), FileError> {
        match jks::append(&files::read(original)?, NAME, &self.anchor.der, self.now_ms) {
            Ok(content) => self.put(original, &content),
            Err(error) => {
                warn!(keystore = %original.display(), %error, "Java programs that use this keystore will not trust the gateway");
                Ok(())
            }
        }
    }

    fn put(&mut self, original: &Path, content: &[u8]) -> Result<(), FileError> {
        let copy = self.copy_of(original);
        if copy != original {
            return files::write(&copy, content);
        }
        let copy = self.fresh();
        files::directory(&self.dir)?;
        files::write(&copy, content)?;
        self.binds.push(Bind {
            copy,
            original: original.to_owned(),
        });
        Ok(())
    }

    /// Where the copy of `original` is, or `original` itself where no directory above it has been copied.
    fn copy_of(&self, original: &Path) -> PathBuf {
        let within = |bind: &Bind| {
            let rest = original.strip_prefix(&bind.original).ok()?;
            // Joining an empty path would add a slash, which makes a file a directory.
            Some(if rest.as_os_str().is_empty() {
                bind.copy.clone()
            } else {
                bind.copy.join(rest)
            })
        };
        self.binds
            .iter()
            .find_map(within)
            .unwrap_or_else(|| original.to_owned())
    }

    fn fresh(&self) -> PathBuf {
        self.dir.join(self.binds.len().to_string())
    }
}

/// Puts the CA into an OpenSSL certificate directory: the file, and the link by which it is looked up.
pub(super) fn add_hashed(directory: &Path, anchor: &Anchor) -> Result<(), FileError> {
    files::write(&directory.join(HASHED), &anchor.pem)?;
    // Another certificate may have the same hash: OpenSSL tries .0, .1, .2 and so on until one is missing.
    let mut link = directory.join(format!("{}.0", anchor.hash));
    let mut number = 0;
    while link.symlink_metadata().is_ok() {
        number += 1;
        link.set_extension(number.to_string());
    }
    files::link(HASHED, &link)
}

/// Names that the distribution's own tool would give: `update-ca-certificates` makes the second from the first.
const ANCHOR: &str = "tollgate.crt";
const HASHED: &str = "tollgate.pem";
/// Alias in keystores.
const NAME: &str = "tollgate";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::fs;

    const OLD: &str = "-----BEGIN CERTIFICATE-----\nT0xE\n-----END CERTIFICATE-----\n";
    const CA: &str = "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n";

    fn anchor() -> Anchor {
        Anchor {
            pem: CA.into(),
            der: b"CA".to_vec(),
            hash: "0a1b2c3d".into(),
        }
    }

    #[test]
    fn a_debian_host_gets_the_ca_in_every_form() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("etc/ssl/certs/java")).unwrap();
        fs::create_dir_all(root.join("usr/local/share/ca-certificates")).unwrap();
        let certs = root.join("etc/ssl/certs");
        fs::write(certs.join("ca-certificates.crt"), OLD).unwrap();
        fs::write(certs.join("java/cacerts"), "not a keystore").unwrap();
        fs::write(certs.join("0a1b2c3d.0"), OLD).unwrap();

        let anchor = anchor();
        let mut material = Material::new(&anchor, 0, root.join("copies"));
        material.host(&Places::find(&root)).unwrap();

        let copy = root.join("copies/0");
        let read = |name: &str| fs::read_to_string(copy.join(name)).unwrap();
        assert_eq!(
            material.binds[0],
            Bind {
                copy: copy.clone(),
                original: certs.clone()
            }
        );
        assert_eq!(read("ca-certificates.crt"), format!("{OLD}{CA}"));
        assert_eq!(read("0a1b2c3d.0"), OLD);
        assert_eq!(read("0a1b2c3d.1"), CA);
        assert_eq!(read("java/cacerts"), "not a keystore");
        assert_eq!(
            fs::read_to_string(root.join("copies/1/tollgate.crt")).unwrap(),
            CA
        );
        assert_eq!(
            fs::read_to_string(certs.join("ca-certificates.crt")).unwrap(),
            OLD,
            "the original stays"
        );
    }

    #[test]
    fn a_bundle_outside_is_copied_alone() {
        let dir = tempfile::tempdir().unwrap();
        let original = dir.path().join("cacert.pem");
        fs::write(&original, OLD).unwrap();
        let anchor = anchor();
        let mut material = Material::new(&anchor, 0, dir.path().join("copies"));
        material.bundle(&original).unwrap();
        let copy = dir.path().join("copies/0");
        assert_eq!(fs::read_to_string(&copy).unwrap(), format!("{OLD}{CA}"));
        assert_eq!(material.binds, [Bind { copy, original }]);
    }
}
