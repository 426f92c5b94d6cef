//! The CA that follows is put beside the old one, and later the old one is taken out, where a workload runs: in what was mounted into its namespace,
//! or in what `tollgate run` gave it. Nothing is mounted anew, so no reader finds a moment without any.

use std::os::fd::AsFd;
use std::path::Path;

use super::super::anchor::Anchor;
use super::super::files::FileError;
use super::super::launch::{COPIES, MOUNTS};
use super::super::refresh::{How, Refresh};
use super::view::{self, Ours};
use super::{AdoptError, now_ms, open_namespace};
use crate::sys::mounts;

/// Renews what mounts of this source hold; returns how many files have changed.
///
/// # Errors
/// Some could not be changed; those that could are.
pub fn renew(pid: u32, ca_pem: &str, source: &str) -> Result<usize, AdoptError> {
    let ours = view::mounts_of(pid, source);
    within(pid, ca_pem, |refresh| {
        for Ours { path, device } in &ours {
            refresh.device = *device;
            if path.is_dir() {
                refresh.folder(path, How::Renamed, |_| How::Renamed)?;
            } else {
                refresh.file(path)?;
            }
        }
        Ok(())
    })
}

/// Renews what a launch has below `scratch`; nothing where it has none, or not yet.
///
/// # Errors
/// Some could not be changed; those that could are.
pub fn renew_launch(pid: u32, ca_pem: &str, scratch: &Path) -> Result<Option<usize>, AdoptError> {
    let mut given = view::mounts_of(pid, MOUNTS).into_iter();
    let Some(given) = given.find(|ours| Some(ours.path.as_path()) == scratch.parent()) else {
        return Ok(None);
    };
    let mut there = true;
    let changed = within(pid, ca_pem, |refresh| {
        refresh.device = given.device;
        there = scratch.join(super::super::environment::ALONE).exists();
        if there {
            // What lies here by itself is bound by itself; files in copied folders are not.
            refresh.folder(scratch, How::InPlace, |name| match name {
                COPIES => How::InPlace,
                _ => How::Renamed,
            })?;
        }
        Ok(())
    })?;
    Ok(there.then_some(changed))
}

fn within(
    pid: u32,
    ca_pem: &str,
    work: impl FnOnce(&mut Refresh<'_>) -> Result<(), FileError> + Send,
) -> Result<usize, AdoptError> {
    let anchors = Anchor::all(ca_pem)?;
    let namespace = open_namespace(pid)?;
    let mut refresh = Refresh {
        anchors: &anchors,
        device: 0,
        now_ms: now_ms(),
        changed: 0,
    };
    let done = mounts::within(namespace.as_fd(), || work(&mut refresh));
    done.map_err(|source| AdoptError::Enter { pid, source })?
        .map_err(|source| AdoptError::Renew { pid, source })?;
    Ok(refresh.changed)
}
