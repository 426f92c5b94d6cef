//! What a command must find before it starts: files that it can read, with what its clients will look for in them.
//!
//! Looked at by the command itself on its way, as the user it has become, in the view that it will have.

use std::ffi::CString;

use nix::errno::Errno;
use nix::libc;

use super::{bundles, substitute};

/// A file, and bytes that are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) path: CString,
    pub(crate) holds: Vec<u8>,
    /// A file that the user does not reach is none of theirs.
    pub(crate) optional: bool,
}

impl Expected {
    /// Makes only system calls; `room` is as large as the largest file. `ENOKEY` says that the file does not hold it.
    pub(super) fn look(&self, room: &mut [u8]) -> nix::Result<()> {
        let file = match substitute::open(&self.path, libc::O_RDONLY | libc::O_NONBLOCK) {
            Err(Errno::EACCES | Errno::ENOENT) if self.optional => return Ok(()),
            file => file?,
        };
        let length = substitute::read(&file, room)?;
        let found = bundles::has(room.get(..length).unwrap_or_default(), &self.holds);
        if found { Ok(()) } else { Err(Errno::ENOKEY) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn what_is_missing_is_told_from_what_cannot_be_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "before CA behind").unwrap();
        let expected = |path: &[u8], holds: &[u8], optional| {
            let path = CString::new(path).unwrap();
            let holds = holds.to_vec();
            let one = Expected {
                path,
                holds,
                optional,
            };
            one.look(&mut [0; 64])
        };
        let look = |path: &[u8], holds: &[u8]| expected(path, holds, false);
        let path = file.path().as_os_str().as_bytes();
        assert_eq!(look(path, b"CA"), Ok(()));
        assert_eq!(look(path, b"CB"), Err(Errno::ENOKEY));
        assert_eq!(look(b"/none", b"CA"), Err(Errno::ENOENT));
        assert_eq!(look(b"/", b"CA"), Err(Errno::EISDIR));
        assert_eq!(expected(b"/none", b"CA", true), Ok(()));
        assert_eq!(expected(path, b"CB", true), Err(Errno::ENOKEY));
    }
}
