//! Who the child runs as, and what file modes let that user do.
//!
//! The child has no capability, so the mode bits decide even for uid 0. Access control lists are not read: they can only make
//! an answer of "may write" too rare, and then a bundle is bound that an upgrade inside the workload cannot replace.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The user a child runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Value of `HOME`.
    pub home: PathBuf,
    /// Value of `USER` and `LOGNAME`.
    pub name: String,
}

/// One right of a file mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Write = 0o2,
    Search = 0o1,
}

/// Ids of a process without capabilities.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

impl Ids {
    /// Of `user`, or of root where none is given.
    pub(super) fn of(user: Option<&RunAs>) -> Self {
        match user {
            Some(user) => Self {
                uid: user.uid,
                gid: user.gid,
                groups: user.groups.clone(),
            },
            None => Self {
                uid: 0,
                gid: 0,
                groups: vec![0],
            },
        }
    }

    /// Whether the mode of `path` gives this right. The directories above it are not asked.
    pub(super) fn may(&self, right: Right, path: &Path) -> io::Result<bool> {
        let meta = fs::metadata(path)?;
        Ok(self.granted(right, meta.mode(), meta.uid(), meta.gid()))
    }

    fn granted(&self, right: Right, mode: u32, owner: u32, group: u32) -> bool {
        let class = if self.uid == owner {
            6
        } else if self.gid == group || self.groups.contains(&group) {
            3
        } else {
            0
        };
        (mode >> class) & right as u32 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let ids = Ids {
            uid: 7,
            gid: 8,
            groups: vec![9],
        };
        assert!(ids.granted(Right::Write, 0o200, 7, 0));
        assert!(
            !ids.granted(Right::Write, 0o022, 7, 8),
            "the owner has no write bit"
        );
        assert!(ids.granted(Right::Write, 0o020, 0, 8));
        assert!(ids.granted(Right::Write, 0o020, 0, 9));
        assert!(
            !ids.granted(Right::Write, 0o002, 0, 9),
            "the group has no write bit"
        );
        assert!(ids.granted(Right::Search, 0o711, 0, 0));
        assert!(!ids.granted(Right::Write, 0o755, 0, 0));
    }

    #[test]
    fn root_without_capabilities_is_an_owner_like_any_other() {
        let root = Ids::of(None);
        assert!(root.granted(Right::Write, 0o600, 0, 0));
        assert!(!root.granted(Right::Write, 0o600, 1000, 1000));
    }
}
