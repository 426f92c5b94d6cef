//! What a daemon that failed or died has left in the kernel and on disk, taken away.

use super::lock::Lock;
use super::{UpError, folders, launches};
use crate::config::Paths;

/// Nothing was governed before, so nothing of a failed start may stay.
pub(super) fn release_half(paths: &Paths) {
    let released = crate::kernel::down(&paths.pins).map_err(UpError::from);
    if let Err(error) = released.and_then(|()| launches::forget_all(paths)) {
        tracing::error!(%error, "what was begun could not be taken back: run `tollgate down`");
    }
}

/// Removes programs, maps and tags that a dead daemon left.
///
/// # Errors
/// A daemon is running, or the pins cannot be removed.
pub fn remove_leftovers(paths: &Paths) -> Result<(), UpError> {
    folders(paths)?;
    let _lock = Lock::take(&paths.run)?;
    crate::kernel::down(&paths.pins)?;
    let _ = std::fs::remove_file(paths.socket());
    launches::forget_all(paths)
}
