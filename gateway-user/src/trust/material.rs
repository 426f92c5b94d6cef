//! Writes the copies with the CA added, and says over which originals they go.
//!
//! In: the places of this host, the bundles that packages bring. Out: files below one directory and a list of binds. Originals
//! are read through the caller's view, before anything is bound.

use std::path::{Path, PathBuf};

use super::anchor::{self, Anchor};
use super::files::{self, FileError};
use super::places::Places;
use super::{jks, pem, policy};

/// A copy and the original it stands for. Both are directories, or both are files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) copy: PathBuf,
    pub(super) original: PathBuf,
}

/// The copies made so far.
#[derive(Debug)]
pub(super) struct Material<'a> {
    anchors: &'a [Anchor],
    now_ms: u64,
    dir: PathBuf,
    pub(super) binds: Vec<Bind>,
    /// Keystores that stay as they are.
    pub(super) left: Vec<(PathBuf, jks::KeystoreError)>,
}

impl<'a> Material<'a> {
    /// Copies go below `dir`; keystore entries are dated `now_ms`.
    pub(super) fn new(anchors: &'a [Anchor], now_ms: u64, dir: PathBuf) -> Self {
        Self {
            anchors,
            now_ms,
            dir,
            binds: Vec::new(),
            left: Vec::new(),
        }
    }

    /// The host's certificate directories, with the CA in every form.
    pub(super) fn host(&mut self, places: &Places) -> Result<(), FileError> {
        for original in &places.directories {
            self.directory(original)?;
        }
        for (directories, add) in [
            (&places.hashed, add_hashed as Add),
            (&places.anchors, add_sources),
        ] {
            for directory in directories {
                // All of them lie in what was copied.
                if let Some(copy) = self.copy_of(directory)? {
                    add(&copy, self.anchors)?;
                }
            }
        }
        for browser in &places.browsers {
            policy::add(&self.directory(browser)?, self.anchors)?;
        }
        for bundle in &places.bundles {
            self.bundle(bundle)?;
        }
        for keystore in &places.keystores {
            self.keystore(keystore)?;
        }
        Ok(())
    }

    /// One directory, as it is; where its copy lies.
    fn directory(&mut self, original: &Path) -> Result<PathBuf, FileError> {
        let copy = self.fresh();
        files::directory(&self.dir)?;
        files::copy_tree(original, &copy)?;
        self.binds.push(Bind {
            copy: copy.clone(),
            original: original.to_owned(),
        });
        Ok(copy)
    }

    /// One PEM bundle, copied alone unless its directory is.
    pub(super) fn bundle(&mut self, original: &Path) -> Result<(), FileError> {
        let content = pem::union(&[
            &files::read(original)?,
            anchor::bundle(self.anchors).as_bytes(),
        ]);
        self.put(original, content.as_bytes())
    }

    /// One Java keystore, likewise. One of another format or password stays as it is.
    pub(super) fn keystore(&mut self, original: &Path) -> Result<(), FileError> {
        let mut content = Ok(files::read(original)?);
        for anchor in self.anchors {
            content = content
                .and_then(|store| jks::append(&store, &anchor.name(), &anchor.der, self.now_ms));
        }
        match content {
            Ok(content) => self.put(original, &content),
            Err(error) => {
                self.left.push((original.to_owned(), error));
                Ok(())
            }
        }
    }

    fn put(&mut self, original: &Path, content: &[u8]) -> Result<(), FileError> {
        if let Some(copy) = self.copy_of(original)? {
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

    /// Where the copy of `original` is, if a directory above it has been copied. Originals are resolved: one that has become a link since then, or
    /// lies below one, may lead anywhere.
    fn copy_of(&self, original: &Path) -> Result<Option<PathBuf>, FileError> {
        let within = |bind: &Bind| {
            let rest = original.strip_prefix(&bind.original).ok()?;
            Some(files::below(&bind.copy, rest))
        };
        self.binds.iter().find_map(within).transpose()
    }

    fn fresh(&self) -> PathBuf {
        self.dir.join(self.binds.len().to_string())
    }
}

type Add = fn(&Path, &[Anchor]) -> Result<(), FileError>;

/// Puts the CAs into an OpenSSL certificate directory: the files, and the links by which they are looked up.
pub(super) fn add_hashed(directory: &Path, anchors: &[Anchor]) -> Result<(), FileError> {
    for anchor in anchors {
        let file = format!("{}.pem", anchor.name());
        files::write(&directory.join(&file), &anchor.pem)?;
        // Another certificate may have the same hash: OpenSSL tries .0, .1, .2 and so on until one is missing.
        let mut link = directory.join(format!("{}.0", anchor.hash));
        let mut number = 0;
        while link.symlink_metadata().is_ok() {
            number += 1;
            link.set_extension(number.to_string());
        }
        files::link(&file, &link)?;
    }
    Ok(())
}

/// Puts the CAs where the distribution's own tool takes certificates from: `update-ca-certificates` makes the files above from these.
pub(super) fn add_sources(directory: &Path, anchors: &[Anchor]) -> Result<(), FileError> {
    for anchor in anchors {
        let file = format!("{}.crt", anchor.name());
        files::write(&directory.join(file), &anchor.pem)?;
    }
    Ok(())
}

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

        let anchors = [anchor()];
        let mut material = Material::new(&anchors, 0, root.join("copies"));
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
            fs::read_to_string(root.join("copies/1/tollgate-0a1b2c3d.crt")).unwrap(),
            CA
        );
        assert_eq!(
            fs::read_to_string(certs.join("ca-certificates.crt")).unwrap(),
            OLD,
            "the original stays"
        );
    }

    #[test]
    fn browsers_get_a_policy_where_their_folder_is_and_no_link_leads_away() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let (chromium, chrome) = (root.join("etc/chromium"), root.join("etc/opt/chrome"));
        fs::create_dir_all(&chromium).unwrap();
        fs::create_dir_all(&chrome).unwrap();
        fs::create_dir(root.join("elsewhere")).unwrap();
        fs::write(chromium.join("master_preferences"), "{}").unwrap();
        std::os::unix::fs::symlink(root.join("elsewhere"), chrome.join("policies")).unwrap();
        let anchors = [anchor()];
        let mut material = Material::new(&anchors, 0, root.join("copies"));
        material.host(&Places::find(&root)).unwrap();
        let originals = material.binds.iter().map(|bind| bind.original.clone());
        assert_eq!(originals.collect::<Vec<_>>(), [chromium.clone(), chrome]);
        let copy = root.join("copies/0");
        let policy = fs::read_to_string(policy::path(&copy)).unwrap();
        assert_eq!(policy, r#"{"CACertificates":["Q0E="]}"#);
        assert!(copy.join("master_preferences").is_file());
        assert!(!chromium.join("policies").exists(), "the original stays");
        assert_eq!(fs::read_dir(root.join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn a_bundle_outside_is_copied_alone() {
        let dir = tempfile::tempdir().unwrap();
        let original = dir.path().join("cacert.pem");
        fs::write(&original, OLD).unwrap();
        let anchors = [anchor()];
        let mut material = Material::new(&anchors, 0, dir.path().join("copies"));
        material.bundle(&original).unwrap();
        let copy = dir.path().join("copies/0");
        assert_eq!(fs::read_to_string(&copy).unwrap(), format!("{OLD}{CA}"));
        assert_eq!(material.binds, [Bind { copy, original }]);
    }

    #[test]
    fn nothing_is_written_where_a_link_leads() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let outside = root.join("outside");
        fs::write(&outside, "stays").unwrap();
        let (certs, sources) = (
            root.join("etc/ssl/certs"),
            root.join("usr/local/share/ca-certificates"),
        );
        for (folder, name) in [
            (&certs, "tollgate-0a1b2c3d.pem"),
            (&sources, "tollgate-0a1b2c3d.crt"),
        ] {
            fs::create_dir_all(folder).unwrap();
            std::os::unix::fs::symlink(&outside, folder.join(name)).unwrap();
        }
        fs::write(certs.join("ca-certificates.crt"), OLD).unwrap();
        let anchors = [anchor()];
        let mut material = Material::new(&anchors, 0, root.join("copies"));
        material.host(&Places::find(&root)).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "stays");
        for copy in ["0/tollgate-0a1b2c3d.pem", "1/tollgate-0a1b2c3d.crt"] {
            let copy = root.join("copies").join(copy);
            assert!(copy.symlink_metadata().unwrap().is_file());
            assert_eq!(fs::read_to_string(copy).unwrap(), CA);
        }
    }

    #[test]
    fn a_place_that_has_become_a_link_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let certs = root.join("etc/ssl/certs");
        fs::create_dir_all(&certs).unwrap();
        fs::create_dir(root.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(root.join("elsewhere"), certs.join("java")).unwrap();
        std::os::unix::fs::symlink(root.join("elsewhere/made"), certs.join("one.crt")).unwrap();
        let original = root.join("original");
        fs::write(&original, OLD).unwrap();
        let anchors = [anchor()];
        for late in ["java/bundle", "one.crt"] {
            let mut material = Material::new(&anchors, 0, root.join(late.replace('/', "-")));
            material.host(&Places::find(&root)).unwrap();
            assert!(material.put(&certs.join(late), b"ours").is_err(), "{late}");
        }
        assert_eq!(fs::read_dir(root.join("elsewhere")).unwrap().count(), 0);
    }
}
