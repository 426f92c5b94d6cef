//! What has to be in place before the command starts, or its clients would refuse the gateway with an error that does not say why.
//!
//! In: what was prepared. Out: files that the command looks into on its way, as its user, in the view that it will have: the bundles of the host,
//! the links by which OpenSSL looks a CA up, and what the variables name. A store that was left as it is, with a warning, is not asked for.

use std::ffi::{CString, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::super::anchor::Anchor;
use super::error::LaunchError;
use crate::sys::launch::Expected;

/// Everything, each once. `bundles` are those that hold the CAs, `packaged` those of packages, which the user may not reach; `hashed` the folders
/// in which they are looked up.
pub(super) fn expected(
    anchors: &[Anchor],
    bundles: &[PathBuf],
    packaged: &[PathBuf],
    hashed: &[PathBuf],
    variables: &[(OsString, OsString)],
) -> Result<Vec<Expected>, LaunchError> {
    let mut files = bundles.to_vec();
    let mut folders = hashed.to_vec();
    for (_, value) in variables {
        // Of a list of folders ours is the last.
        let last = value.as_bytes().rsplit(|byte| *byte == b':').next();
        let path = PathBuf::from(OsString::from_vec(last.unwrap_or_default().to_vec()));
        match path.is_dir() {
            true => folders.push(path),
            // Some are switches.
            false if path.is_absolute() => files.push(path),
            false => {}
        }
    }
    let mut expected = Vec::new();
    for anchor in anchors {
        let links = folders.iter().map(|folder| link(folder, anchor));
        let links: Vec<PathBuf> = links.collect::<Result<_, _>>()?;
        let own = files.iter().chain(&links).map(|path| (path, false));
        for (path, optional) in own.chain(packaged.iter().map(|path| (path, true))) {
            let named = CString::new(path.as_os_str().as_bytes());
            let one = Expected {
                path: named.map_err(|_| LaunchError::Scratch(path.clone()))?,
                holds: anchor.pem.trim_end().into(),
                optional,
            };
            if !expected.contains(&one) {
                expected.push(one);
            }
        }
    }
    Ok(expected)
}

/// The link that leads to this CA: certificates of the same hash are numbered.
fn link(folder: &Path, anchor: &Anchor) -> Result<PathBuf, LaunchError> {
    let numbered = (0..MOST).map(|number| folder.join(format!("{}.{number}", anchor.hash)));
    let mut there = numbered.take_while(|path| path.symlink_metadata().is_ok());
    let leads = |path: &PathBuf| {
        fs::read_to_string(path).is_ok_and(|text| text.contains(anchor.pem.trim_end()))
    };
    there.find(leads).ok_or_else(|| LaunchError::Untrusted {
        path: folder.join(format!("{}.0", anchor.hash)),
        source: nix::errno::Errno::ENOKEY.into(),
    })
}

/// Certificates with the same hash.
const MOST: u32 = 100;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::super::material::add_hashed;
    use super::*;

    #[test]
    fn bundles_links_and_variables_are_asked_for_each_once() {
        let anchor = Anchor {
            pem: "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n".into(),
            der: b"CA".to_vec(),
            hash: "0a1b2c3d".into(),
        };
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("certs");
        fs::create_dir(&folder).unwrap();
        let anchors = [anchor];
        let missing = expected(&anchors, &[], &[], std::slice::from_ref(&folder), &[]).unwrap_err();
        let named = folder.join("0a1b2c3d.0").display().to_string();
        assert!(missing.to_string().contains(&named), "{missing}");

        fs::write(folder.join("0a1b2c3d.0"), "another").unwrap();
        add_hashed(&folder, &anchors).unwrap();
        let bundle = PathBuf::from("/bundle.pem");
        let variables = [
            ("SSL_CERT_FILE".into(), "/bundle.pem".into()),
            ("DENO_CERT".into(), "/ca.pem".into()),
            ("UV_SYSTEM_CERTS".into(), "1".into()),
            (
                "SSL_CERT_DIR".into(),
                format!("/a:{}", folder.display()).into(),
            ),
        ];
        let packaged = [PathBuf::from("/venv/cacert.pem")];
        let found = expected(&anchors, &[bundle], &packaged, &[], &variables).unwrap();
        let optional: Vec<bool> = found.iter().map(|one| one.optional).collect();
        assert_eq!(optional, [false, false, false, true]);
        let paths = found.iter().map(|one| one.path.to_str().unwrap());
        let link = folder.join("0a1b2c3d.1").display().to_string();
        assert_eq!(
            paths.collect::<Vec<_>>(),
            ["/bundle.pem", "/ca.pem", &link, "/venv/cacert.pem"]
        );
    }
}
