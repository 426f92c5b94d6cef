//! File operations whose errors name the path, with a bound on what is read into memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::libc;
use thiserror::Error;

/// One operation that failed on one path.
#[derive(Debug, Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct FileError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// For `map_err`.
pub(super) fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// The bytes of a regular file of at most [`LARGEST`] bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let open = |path: &Path| {
        // A pipe or a device would block or never end.
        if !fs::metadata(path)?.is_file() {
            let kind = io::ErrorKind::InvalidInput;
            return Err(io::Error::new(kind, "not a regular file"));
        }
        // It may have become one meanwhile.
        let how = libc::O_NONBLOCK | libc::O_NOCTTY;
        File::options().read(true).custom_flags(how).open(path)
    };
    let mut bytes = Vec::new();
    open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(failed("read", path))?;
    if bytes.len() as u64 > LARGEST {
        return Err(failed("read", path)(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

/// Replaces the content; a new file may be read by everyone, whatever the umask.
pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    let fresh = !path.exists();
    fs::write(path, content).map_err(failed("write", path))?;
    if fresh { mode(path, 0o644) } else { Ok(()) }
}

/// A directory that everyone may read, with the missing ones above it.
pub(super) fn directory(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        directory(parent)?;
    }
    fs::create_dir(path).map_err(failed("create", path))?;
    mode(path, 0o755)
}

/// A symbolic link; an existing entry is an error.
pub(super) fn link(target: &str, path: &Path) -> Result<(), FileError> {
    symlink(target, path).map_err(failed("link", path))
}

/// Copies directories, files and symbolic links with owner and mode. Links stay links; other kinds of files are left out.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), FileError> {
    let meta = fs::symlink_metadata(from).map_err(failed("read", from))?;
    let kind = meta.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).map_err(failed("read", from))?;
        symlink(target, to).map_err(failed("link", to))?;
        return lchown(to, Some(meta.uid()), Some(meta.gid())).map_err(failed("give away", to));
    }
    if kind.is_file() {
        fs::copy(from, to).map_err(failed("copy", from))?;
    } else if kind.is_dir() {
        fs::create_dir(to).map_err(failed("create", to))?;
        for entry in fs::read_dir(from).map_err(failed("list", from))? {
            let name = entry.map_err(failed("list", from))?.file_name();
            copy_tree(&from.join(&name), &to.join(&name))?;
        }
    } else {
        return Ok(());
    }
    chown(to, Some(meta.uid()), Some(meta.gid())).map_err(failed("give away", to))?;
    mode(to, meta.mode() & 0o7777)
}

fn mode(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(failed("set the mode of", path))
}

/// The largest known bundle has 1 MB; a variable may name anything.
pub(super) const LARGEST: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_copy_has_the_same_entries_modes_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        directory(&from.join("inner")).unwrap();
        write(&from.join("inner/file"), "content").unwrap();
        mode(&from.join("inner/file"), 0o640).unwrap();
        link("nowhere", &from.join("dangling")).unwrap();
        let to = dir.path().join("to");
        copy_tree(&from, &to).unwrap();
        assert_eq!(read(&to.join("inner/file")).unwrap(), b"content");
        assert_eq!(
            fs::metadata(to.join("inner/file")).unwrap().mode() & 0o777,
            0o640
        );
        assert_eq!(
            fs::metadata(to.join("inner")).unwrap().mode() & 0o777,
            0o755
        );
        assert_eq!(
            fs::read_link(to.join("dangling")).unwrap(),
            Path::new("nowhere")
        );
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read /dev/zero: not a regular file"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LARGEST + 1).unwrap();
        assert!(read(file.path()).is_err());
    }
}
