//! File operations whose errors name the path, with a bound on what is read into memory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, fstatat};
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

/// Replaces the content, or a link, which is not followed; a new file may be read by everyone, whatever the umask.
pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    let there = fs::symlink_metadata(path).map(|meta| meta.is_symlink());
    if let Ok(true) = there {
        fs::remove_file(path).map_err(failed("replace", path))?;
    }
    let mut how = File::options();
    how.write(true).create(true).truncate(true);
    how.custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_ref()))
        .map_err(failed("write", path))?;
    match there {
        Ok(false) => Ok(()),
        _ => mode(path, 0o644),
    }
}

/// What `rest` is below `root`; neither that nor any part of it is a link.
pub(super) fn below(root: &Path, rest: &Path) -> Result<PathBuf, FileError> {
    let plain = |path: &Path| match path.is_symlink() {
        true => Err(failed("write", path)(io::Error::other("it is a link"))),
        false => Ok(()),
    };
    let mut path = root.to_owned();
    plain(&path)?;
    // Not joined as a whole: an empty path would add a slash, which makes a file a folder.
    for part in rest {
        path.push(part);
        plain(&path)?;
    }
    Ok(path)
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
///
/// Whoever owns the tree may change it meanwhile: what is copied is what was opened, no link is followed, and a tree without end is an error.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), FileError> {
    let mut entries = 0;
    copy_entry(AT_FDCWD, from, (from, to), 0, &mut entries)
}

/// The entry `name` of `folder`, which `from` is called in errors.
fn copy_entry(
    folder: BorrowedFd<'_>,
    name: &Path,
    (from, to): (&Path, &Path),
    depth: usize,
    entries: &mut usize,
) -> Result<(), FileError> {
    let too_much = |what| Err(failed("copy", from)(io::Error::other(what)));
    *entries += 1;
    if *entries > MOST_ENTRIES {
        return too_much(format!("more than {MOST_ENTRIES} entries"));
    }
    if depth > DEEPEST {
        return too_much(format!("more than {DEEPEST} folders deep"));
    }
    let errno = |operation| move |errno: Errno| failed(operation, from)(errno.into());
    let seen = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(errno("read"))?;
    match SFlag::from_bits_truncate(seen.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFLNK => {
            let target = readlinkat(folder, name).map_err(errno("read"))?;
            symlink(target, to).map_err(failed("link", to))?;
            let given = lchown(to, Some(seen.st_uid), Some(seen.st_gid));
            return given.map_err(failed("give away", to));
        }
        SFlag::S_IFREG | SFlag::S_IFDIR => {}
        _ => return Ok(()),
    }
    // It may have become a pipe meanwhile, which would block.
    let how = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let opened = openat(folder, name, how, Mode::empty()).map_err(errno("open"))?;
    let opened = File::from(opened);
    let meta = opened.metadata().map_err(failed("read", from))?;
    if meta.is_file() {
        let mut copy = File::create_new(to).map_err(failed("create", to))?;
        let copied = io::copy(&mut opened.take(LARGEST + 1), &mut copy);
        if copied.map_err(failed("copy", from))? > LARGEST {
            return Err(failed("copy", from)(io::ErrorKind::FileTooLarge.into()));
        }
    } else if meta.is_dir() {
        fs::create_dir(to).map_err(failed("create", to))?;
        let mut listed = Dir::from_fd(opened.into()).map_err(errno("list"))?;
        let names = listed.iter().map(|entry| Ok(entry?.file_name().to_owned()));
        // No more than what would be an error.
        let names: Result<Vec<_>, Errno> = names.take(MOST_ENTRIES + 3).collect();
        for name in names.map_err(errno("list"))? {
            let name = Path::new(OsStr::from_bytes(name.to_bytes()));
            if name == "." || name == ".." {
                continue;
            }
            let paths = (&*from.join(name), &*to.join(name));
            copy_entry(listed.as_fd(), name, paths, depth + 1, entries)?;
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
/// As deep as distributions nest, and then some.
pub(super) const DEEPEST: usize = 6;
/// Distributions have some hundreds.
const MOST_ENTRIES: usize = 10_000;

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
    fn no_link_is_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(&at("outside"), "stays").unwrap();
        link("outside", &at("link")).unwrap();
        link("made", &at("dangling")).unwrap();
        for name in ["link", "dangling"] {
            write(&at(name), "new").unwrap();
            assert!(at(name).symlink_metadata().unwrap().is_file());
        }
        assert_eq!(read(&at("outside")).unwrap(), b"stays");
        assert!(!at("made").exists());

        directory(&at("folder/inner")).unwrap();
        link("folder", &at("other")).unwrap();
        link("inner", &at("folder/other")).unwrap();
        let path = |root: &str, rest: &str| below(&at(root), Path::new(rest)).ok();
        assert_eq!(path("folder", ""), Some(at("folder")));
        assert_eq!(path("folder", "inner/x"), Some(at("folder/inner/x")));
        assert_eq!(path("folder", "other/x"), None);
        assert_eq!(path("other", ""), None);
        assert_eq!(path("other", "inner"), None);
    }

    #[test]
    fn a_pipe_that_takes_the_place_of_a_file_holds_nobody_up() {
        use nix::fcntl::{RenameFlags, renameat2};
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        directory(&at("from/now")).unwrap();
        directory(&at("other")).unwrap();
        for number in 0..200 {
            write(&at(&format!("from/now/{number}")), "x").unwrap();
            let pipe = at(&format!("other/{number}"));
            nix::unistd::mkfifo(&pipe, Mode::from_bits_truncate(0o644)).unwrap();
        }
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (now, other) = (at("from/now"), at("other"));
                while !over.load(Ordering::Relaxed) {
                    let how = RenameFlags::RENAME_EXCHANGE;
                    renameat2(AT_FDCWD, &now, AT_FDCWD, &other, how).unwrap();
                }
            });
            let (tell, told) = std::sync::mpsc::channel();
            let dir = dir.path().to_owned();
            std::thread::spawn(move || {
                for number in 0..200 {
                    let _ = copy_tree(&dir.join("from"), &dir.join(format!("to-{number}")));
                }
                tell.send(())
            });
            let done = told.recv_timeout(std::time::Duration::from_secs(60));
            over.store(true, Ordering::Relaxed);
            assert_eq!(done, Ok(()), "it waits for a pipe");
        });
    }

    #[test]
    fn a_tree_without_end_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let deep = "a/".repeat(DEEPEST);
        directory(&at("deep").join(&deep)).unwrap();
        copy_tree(&at("deep"), &at("to-deep")).unwrap();
        directory(&at("deep").join(deep).join("a")).unwrap();
        let told = copy_tree(&at("deep"), &at("to-deeper")).unwrap_err();
        assert!(
            told.to_string().ends_with("more than 6 folders deep"),
            "{told}"
        );

        directory(&at("many")).unwrap();
        for number in 0..MOST_ENTRIES {
            File::create(at(&format!("many/{number}"))).unwrap();
        }
        let told = copy_tree(&at("many"), &at("to-many")).unwrap_err();
        assert!(
            told.to_string().ends_with("more than 10000 entries"),
            "{told}"
        );

        directory(&at("large")).unwrap();
        let large = File::create(at("large/file")).unwrap();
        large.set_len(LARGEST).unwrap();
        copy_tree(&at("large"), &at("to-large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        let told = copy_tree(&at("large"), &at("to-larger")).unwrap_err();
        assert!(told.to_string().ends_with("file too large"), "{told}");
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
