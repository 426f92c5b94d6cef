//! Where distributions keep the certificates that clients read without being told.
//!
//! A *place* is a directory that is replaced by a copy; tables name the bundles, keystores and hash directories inside. Every
//! entry is resolved first, because distributions link them to each other, and what one distribution lacks is left out.
//!
//! Sources: ca-certificates of Debian (also Alpine), RHEL's and SUSE's `update-ca-trust` layouts, and the links of Arch and NixOS; Debian is run in the
//! tests of this repository, the others follow their documentation.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The certificate files of one host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Directories to copy and bind, none within another.
    pub(super) directories: Vec<PathBuf>,
    /// PEM bundles.
    pub(super) bundles: Vec<PathBuf>,
    /// Java keystores.
    pub(super) keystores: Vec<PathBuf>,
    /// Directories in which OpenSSL looks for `<hash>.0`.
    pub(super) hashed: Vec<PathBuf>,
    /// Directories whose certificates the distribution's own tool adds when it builds the others again.
    pub(super) anchors: Vec<PathBuf>,
    /// Directories of browsers, to copy and bind as well: roots are among the policies that administrators set there.
    pub(super) browsers: Vec<PathBuf>,
}

impl Places {
    /// What exists below `root` (`/`, except in tests).
    pub(super) fn find(root: &Path) -> Self {
        let anchors = existing(root, ANCHORS, Path::is_dir);
        let mut directories = existing(root, DIRECTORIES, Path::is_dir);
        directories.extend(anchors.iter().cloned());
        directories.sort();
        directories.dedup();
        let all = directories.clone();
        directories.retain(|inner| {
            !all.iter()
                .any(|outer| outer != inner && inner.starts_with(outer))
        });
        Self {
            directories,
            bundles: existing(root, BUNDLES, Path::is_file),
            keystores: existing(root, KEYSTORES, Path::is_file),
            hashed: existing(root, HASHED, Path::is_dir),
            anchors,
            browsers: existing(root, BROWSERS, Path::is_dir),
        }
    }

    /// Whether `path`, already resolved, lies in a directory that is replaced.
    pub(super) fn covers(&self, path: &Path) -> bool {
        self.directories
            .iter()
            .any(|directory| path.starts_with(directory))
    }
}

/// The resolved paths of those table entries that `is` there, each once.
fn existing(root: &Path, table: &[&str], is: fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in table {
        if let Some(path) = resolved(root, Path::new(entry))
            && is(&path)
            && !found.contains(&path)
        {
            found.push(path);
        }
    }
    found
}

/// Follows symbolic links as a process does whose root is `root`: absolute ones begin there, and `..` never leads above it.
fn resolved(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<OsString> = Vec::new();
    let mut rest: VecDeque<OsString> = words(path).collect();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            parts.pop();
            continue;
        }
        let here = root.join(parts.iter().collect::<PathBuf>()).join(&part);
        if !fs::symlink_metadata(&here).ok()?.is_symlink() {
            parts.push(part);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return None;
        }
        let target = fs::read_link(&here).ok()?;
        if target.is_absolute() {
            parts.clear();
        }
        for word in words(&target).rev() {
            rest.push_front(word);
        }
    }
    Some(root.join(parts.iter().collect::<PathBuf>()))
}

fn words(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// As many as the kernel follows.
const MOST_LINKS: u32 = 40;

const DIRECTORIES: &[&str] = &[
    "etc/ssl/certs",
    "etc/pki/tls/certs",
    "etc/pki/ca-trust/extracted",
    "var/lib/ca-certificates",
];

const BUNDLES: &[&str] = &[
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
    "var/lib/ca-certificates/ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
    "etc/pki/tls/cert.pem",
];

const KEYSTORES: &[&str] = &[
    "etc/ssl/certs/java/cacerts",
    "etc/pki/ca-trust/extracted/java/cacerts",
    "var/lib/ca-certificates/java-cacerts",
];

const HASHED: &[&str] = &[
    "etc/ssl/certs",
    "etc/pki/tls/certs",
    "etc/pki/ca-trust/extracted/pem/directory-hash",
    "var/lib/ca-certificates/pem",
    "var/lib/ca-certificates/openssl",
];

const ANCHORS: &[&str] = &[
    "usr/local/share/ca-certificates",
    "etc/pki/ca-trust/source/anchors",
    "etc/pki/trust/anchors",
];

/// Chromium's, Chrome's, Chrome for Testing's, and Edge's (chrome/common/chrome_paths.cc).
pub(super) const BROWSERS: &[&str] = &[
    "etc/chromium",
    "etc/opt/chrome",
    "etc/opt/chrome_for_testing",
    "etc/opt/edge",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::symlink;

    fn host(files: &[&str], links: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        for (link, target) in links {
            let path = dir.path().join(link);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        let root = fs::canonicalize(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn debian() {
        let (_dir, root) = host(
            &[
                "etc/ssl/certs/ca-certificates.crt",
                "etc/ssl/certs/java/cacerts",
                "usr/local/share/ca-certificates/x.crt",
            ],
            &[],
        );
        let places = Places::find(&root);
        let anchors = root.join("usr/local/share/ca-certificates");
        assert_eq!(
            places.directories,
            [root.join("etc/ssl/certs"), anchors.clone()]
        );
        assert_eq!(
            places.bundles,
            [root.join("etc/ssl/certs/ca-certificates.crt")]
        );
        assert_eq!(places.keystores, [root.join("etc/ssl/certs/java/cacerts")]);
        assert_eq!(places.hashed, [root.join("etc/ssl/certs")]);
        assert_eq!(places.anchors, [anchors]);
    }

    #[test]
    fn red_hat_links_lead_to_one_bundle() {
        let bundle = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
        let (_dir, root) = host(
            &[
                bundle,
                "etc/pki/ca-trust/extracted/java/cacerts",
                "etc/pki/ca-trust/source/anchors/x",
            ],
            &[
                (
                    "etc/pki/tls/certs/ca-bundle.crt",
                    "../../ca-trust/extracted/pem/tls-ca-bundle.pem",
                ),
                ("etc/ssl/certs", "../pki/tls/certs"),
            ],
        );
        let places = Places::find(&root);
        assert_eq!(places.bundles, [root.join(bundle)]);
        assert_eq!(places.hashed, [root.join("etc/pki/tls/certs")]);
        assert_eq!(places.directories.len(), 3, "{places:?}");
        assert!(places.covers(&places.keystores[0]));
    }

    #[test]
    fn suse_directories_within_another_are_copied_once() {
        let (_dir, root) = host(
            &[
                "var/lib/ca-certificates/ca-bundle.pem",
                "var/lib/ca-certificates/pem/a.pem",
            ],
            &[
                ("etc/ssl/certs", "../../var/lib/ca-certificates/pem"),
                (
                    "etc/ssl/ca-bundle.pem",
                    "../../var/lib/ca-certificates/ca-bundle.pem",
                ),
            ],
        );
        let places = Places::find(&root);
        assert_eq!(places.directories, [root.join("var/lib/ca-certificates")]);
        assert_eq!(
            places.bundles,
            [root.join("var/lib/ca-certificates/ca-bundle.pem")]
        );
        assert_eq!(places.hashed, [root.join("var/lib/ca-certificates/pem")]);
    }

    #[test]
    fn bundles_that_links_lead_to_elsewhere_are_found_there() {
        let (nix, arch) = (
            "nix/store/x/ca-bundle.crt",
            "etc/ca-certificates/extracted/tls-ca-bundle.pem",
        );
        for (bundle, link) in [
            (nix, "/etc/static/ca-certificates.crt"),
            (arch, "../../ca-certificates/extracted/tls-ca-bundle.pem"),
        ] {
            let (_dir, root) = host(
                &[bundle],
                &[
                    ("etc/static", "/nix/store/y"),
                    (
                        "nix/store/y/ca-certificates.crt",
                        "/nix/store/x/ca-bundle.crt",
                    ),
                    ("etc/ssl/certs/ca-certificates.crt", link),
                ],
            );
            let places = Places::find(&root);
            assert_eq!(places.directories, [root.join("etc/ssl/certs")]);
            assert_eq!(places.bundles, [root.join(bundle)]);
            assert!(!places.covers(&places.bundles[0]));
        }
    }

    #[test]
    fn links_do_not_lead_out_of_the_root() {
        let (_dir, root) = host(
            &["etc/pki/tls/certs/ca-bundle.crt"],
            &[
                ("etc/ssl/certs", "/etc/pki/tls/certs"),
                ("etc/ssl/cert.pem", "../../../../../../etc/hostname"),
                ("etc/ssl/ca-bundle.pem", "ca-bundle.pem"),
            ],
        );
        let places = Places::find(&root);
        assert_eq!(places.directories, [root.join("etc/pki/tls/certs")]);
        assert_eq!(
            places.bundles,
            [root.join("etc/pki/tls/certs/ca-bundle.crt")]
        );
    }

    #[test]
    fn a_bare_root_has_none() {
        let (_dir, root) = host(&[], &[]);
        assert_eq!(Places::find(&root), Places::default());
    }
}
