//! The cgroups of launches: below one of the instance's own, one for each identity, which is tagged, and in that one for each launch.

use std::path::{Path, PathBuf};

use super::UpError;
use crate::config::Paths;
use crate::kernel;

/// Below this cgroup launches get theirs; it differs between instances on one host.
pub(super) fn folder(paths: &Paths) -> Result<PathBuf, UpError> {
    Ok(kernel::cgroup::mount()?.join(name(paths)))
}

/// Makes a cgroup.
pub(super) fn make(folder: &Path) -> Result<(), UpError> {
    std::fs::create_dir_all(folder).map_err(|source| UpError::Cgroup {
        path: folder.to_owned(),
        source,
    })
}

/// Removes the cgroups of launches that are over; those with processes in them stay.
pub(super) fn sweep(launches: &Path) {
    for identity in std::fs::read_dir(launches).into_iter().flatten().flatten() {
        for launch in std::fs::read_dir(identity.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = std::fs::remove_dir(launch.path());
        }
        let _ = std::fs::remove_dir(identity.path());
    }
    let _ = std::fs::remove_dir(launches);
}

/// Forgets which workloads a dead daemon had, and removes what its launches left; their tags are gone.
pub(super) fn forget_all(paths: &Paths) -> Result<(), UpError> {
    sweep(&folder(paths)?);
    forget(paths)
}

pub(super) fn forget(paths: &Paths) -> Result<(), UpError> {
    let _ = std::fs::remove_dir_all(super::ca_folder(paths));
    let path = super::registry_file(paths);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(UpError::Folder { path, source })
        }
        _ => Ok(()),
    }
}

/// `tollgate`, or with the state's path hashed in where several instances share a host.
fn name(paths: &Paths) -> String {
    if paths.state == Path::new("/var/lib/tollgate") {
        return "tollgate".to_owned();
    }
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        paths.state.as_os_str().as_encoded_bytes(),
    );
    let hex: String = digest.as_ref()[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("tollgate-{hex}")
}
