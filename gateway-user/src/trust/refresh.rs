//! Brings the copies that a workload reads up to date when a CA is followed by the next, while the workload runs.
//!
//! In: a folder or file of copies, as the calling thread sees it, and the CAs that count now. Out: the same copies with these CAs in place of those
//! that were there. A file in a copied folder is replaced by a rename, so that a reader finds the old one or the new one, whole. A file that is
//! bound by itself cannot be renamed and is written in place, behind what stays: a reader finds at worst a certificate cut off at the end.
//!
//! Invariants: only what lies on the file system of the copies is written, and no link is followed, since an agent that runs as root may have put
//! one there; a file without a CA of this workload is left alone.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::libc;
use nix::unistd::fchdir;

use super::anchor::{Anchor, PREFIX, bundle};
use super::files::{DEEPEST, FileError, LARGEST, failed};
use super::{jks, pem, policy};

/// One run over copies of one workload.
pub(super) struct Refresh<'a> {
    /// At least one, the oldest first.
    pub(super) anchors: &'a [Anchor],
    /// The file system of the copies.
    pub(super) device: u64,
    /// For entries of keystores.
    pub(super) now_ms: u64,
    /// How many files were changed.
    pub(super) changed: usize,
}

/// How a file is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Other names lead to it.
    InPlace,
    /// It has one name.
    Renamed,
}

impl Refresh<'_> {
    /// A folder with everything in it. `inside` says how files in folders in it are replaced, by the names of these.
    pub(super) fn folder(
        &mut self,
        path: &Path,
        how: How,
        inside: fn(&str) -> How,
    ) -> Result<(), FileError> {
        self.descend(path, how, inside, 0)
    }

    /// A file that is bound by itself.
    pub(super) fn file(&mut self, path: &Path) -> Result<(), FileError> {
        self.content(path, How::InPlace)
            .map_err(failed("renew", path))
    }

    /// The working folder leads from one to the next, so that no path is looked up twice.
    fn descend(
        &mut self,
        path: &Path,
        how: How,
        inside: fn(&str) -> How,
        depth: usize,
    ) -> Result<(), FileError> {
        let above = open_folder(Path::new(".")).map_err(failed("open", path))?;
        let folder = open_folder(path).map_err(failed("open", path))?;
        let device = folder.metadata().map_err(failed("read", path))?.dev();
        if device != self.device || depth > DEEPEST {
            return Ok(());
        }
        let enter = |folder: &File| fchdir(folder).map_err(io::Error::from);
        enter(&folder).map_err(failed("enter", path))?;
        let done = self.here(how, inside, depth);
        enter(&above).map_err(failed("leave", path))?;
        done
    }

    fn here(&mut self, how: How, inside: fn(&str) -> How, depth: usize) -> Result<(), FileError> {
        let here = Path::new(".");
        let (mut hashed, mut sources) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(here).map_err(failed("list", here))? {
            let entry = entry.map_err(failed("list", here))?;
            let kind = entry.file_type().map_err(failed("list", here))?;
            // Ours have plain names, and so have those of distributions.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let path = Path::new(&name);
            if kind.is_dir() {
                self.descend(path, inside(&name), |_| How::Renamed, depth + 1)?;
            } else if kind.is_symlink() && name.starts_with(PREFIX) && name.ends_with(".pem") {
                // update-ca-certificates replaces the file by a link to where it came from.
                hashed.push(name);
            } else if !kind.is_file() {
            } else if name.starts_with(PREFIX) && name.ends_with(".pem") {
                hashed.push(name);
            } else if name.starts_with(PREFIX) && name.ends_with(".crt") {
                sources.push(name);
            } else {
                self.content(path, how).map_err(failed("renew", path))?;
            }
        }
        for (there, ending) in [(hashed, "pem"), (sources, "crt")] {
            if !there.is_empty() {
                let exchanged = self.exchange(&there, ending);
                exchanged.map_err(failed("renew the CAs in", here))?;
            }
        }
        Ok(())
    }

    /// The files of CAs in a folder, with the links of those that OpenSSL looks up: first what is new, then what is over.
    fn exchange(&mut self, there: &[String], ending: &str) -> io::Result<()> {
        let name = |anchor: &Anchor| format!("{}.{ending}", anchor.name());
        for anchor in self.anchors {
            let file = name(anchor);
            if there.contains(&file) {
                continue;
            }
            create(Path::new(&file))?.write_all(anchor.pem.as_bytes())?;
            if ending == "pem" {
                link(&file, &anchor.hash)?;
            }
            self.changed += 1;
        }
        let over = |file: &&String| !self.anchors.iter().any(|anchor| name(anchor) == **file);
        for file in there.iter().filter(over) {
            for entry in fs::read_dir(".")?.flatten() {
                if fs::read_link(entry.file_name()).is_ok_and(|to| to == Path::new(file)) {
                    fs::remove_file(entry.file_name())?;
                }
            }
            fs::remove_file(file)?;
            self.changed += 1;
        }
        Ok(())
    }

    /// A bundle, a keystore or a policy with a CA of ours gets those that count now; anything else stays.
    fn content(&mut self, path: &Path, how: How) -> io::Result<()> {
        let mut options = File::options();
        options.read(true).write(how == How::InPlace);
        let mut file = options.custom_flags(NO_LINK).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.dev() != self.device || meta.len() > LARGEST {
            return Ok(());
        }
        let mut before = Vec::new();
        Read::by_ref(&mut file)
            .take(LARGEST)
            .read_to_end(&mut before)?;
        let Some(after) = self.renewed(path, &before) else {
            return Ok(());
        };
        match how {
            How::InPlace => write_behind(&file, &before, after)?,
            How::Renamed => {
                let _ = fs::remove_file(DRAFT);
                let mut draft = create(Path::new(DRAFT))?;
                draft.write_all(&after)?;
                fchown(&draft, Some(meta.uid()), Some(meta.gid()))?;
                draft.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
                fs::rename(DRAFT, path)?;
            }
        }
        self.changed += 1;
        Ok(())
    }

    fn renewed(&self, path: &Path, content: &[u8]) -> Option<Vec<u8>> {
        if path == Path::new(policy::FILE) {
            // One that is no text is not ours any more.
            let before = std::str::from_utf8(content).ok()?;
            let after = policy::content(self.anchors);
            return (before != after).then(|| after.into_bytes());
        }
        if jks::is_keystore(content) {
            return self.keystore(content);
        }
        let all = pem::each(content);
        let ours = |text: &&String| self.anchors[0].is_kin(text);
        if !all.iter().any(|text| ours(&text)) {
            return None;
        }
        let mut parts: Vec<&str> = all
            .iter()
            .filter(|text| !ours(text))
            .map(String::as_str)
            .collect();
        let own = bundle(self.anchors);
        parts.push(&own);
        let after = pem::union(&parts);
        let same = after.trim_end() == String::from_utf8_lossy(content).trim_end();
        (!same).then(|| after.into_bytes())
    }

    /// Nothing where the keystore is as it should be, or not one that can be changed.
    fn keystore(&self, content: &[u8]) -> Option<Vec<u8>> {
        let has = |anchor: &Anchor| {
            content
                .windows(anchor.der.len())
                .any(|part| part == anchor.der)
        };
        let ours = |alias: &[u8]| {
            // As Debian's tool names what it makes from our files.
            let alias = alias.strip_prefix(b"debian:").unwrap_or(alias);
            alias.starts_with(PREFIX.as_bytes())
        };
        let (mut store, gone) = jks::without(content, ours).ok()?;
        if gone == 0 || (gone == self.anchors.len() && self.anchors.iter().all(has)) {
            return None;
        }
        for anchor in self.anchors {
            store = jks::append(&store, &anchor.name(), &anchor.der, self.now_ms).ok()?;
        }
        Some(store)
    }
}

/// Writes what differs, from the first difference on. Bundles never get shorter, so that no reader misses what it has begun to read.
fn write_behind(file: &File, before: &[u8], mut after: Vec<u8>) -> io::Result<()> {
    if jks::is_keystore(&after) {
        file.write_all_at(&after, 0)?;
        return file.set_len(after.len() as u64);
    }
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(old, new)| old == new)
        .count();
    if after.len() < before.len() {
        after.resize(before.len(), b'\n');
    }
    file.write_all_at(&after[same..], same as u64)
}

/// A file that was not there and that everybody may read.
fn create(path: &Path) -> io::Result<File> {
    let made = File::options().write(true).create_new(true).open(path)?;
    made.set_permissions(fs::Permissions::from_mode(0o644))?;
    Ok(made)
}

/// The first free one of the names under which OpenSSL looks.
fn link(file: &str, hash: &str) -> io::Result<()> {
    for number in 0..MOST_ALIKE {
        match std::os::unix::fs::symlink(file, format!("{hash}.{number}")) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn open_folder(path: &Path) -> io::Result<File> {
    let flags = libc::O_DIRECTORY | NO_LINK;
    File::options().read(true).custom_flags(flags).open(path)
}

const NO_LINK: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;
const DRAFT: &str = ".tollgate-draft";
/// Certificates with the same hash.
const MOST_ALIKE: u32 = 100;

#[cfg(test)]
mod tests;
