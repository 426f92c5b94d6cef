//! CAs as a policy of Chromium and its relatives: they read no bundle, but files that administrators put into a folder of theirs.
//!
//! In: the CAs of a workload, the folder or its copy. Out: a file there with all of them, which browsers read when they begin, and again when it changes.
//! Source: `CACertificates` of the Chrome Enterprise policy list, Chrome 128 and later.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::anchor::Anchor;
use super::files::{self, FileError};

/// Puts the CAs into the copy of a browser's folder.
pub(super) fn add(folder: &Path, anchors: &[Anchor]) -> Result<(), FileError> {
    // Nothing is written where a link leads: that browser stays without.
    let Ok(managed) = files::below(folder, Path::new(MANAGED)) else {
        return Ok(());
    };
    files::directory(&managed)?;
    files::write(&managed.join(FILE), content(anchors))
}

/// What the file says.
pub(super) fn content(anchors: &[Anchor]) -> String {
    let certificates = anchors.iter().map(certificate);
    json!({ "CACertificates": certificates.collect::<Vec<_>>() }).to_string()
}

/// Whether such a file has this CA.
pub(super) fn has(file: &[u8], anchor: &Anchor) -> bool {
    String::from_utf8_lossy(file).contains(&certificate(anchor))
}

/// Where it lies in the folder of a browser.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(MANAGED).join(FILE)
}

/// What stands between the lines of a certificate in PEM: its bytes in base64.
fn certificate(anchor: &Anchor) -> String {
    let inside = anchor.pem.lines().filter(|line| !line.starts_with('-'));
    inside.map(str::trim).collect()
}

const MANAGED: &str = "policies/managed";
/// Its name.
pub(super) const FILE: &str = "tollgate.json";
