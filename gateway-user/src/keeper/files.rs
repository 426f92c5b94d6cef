//! Private files: 0600 in 0700 directories of the daemon's own user, replaced in one step.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use secrecy::zeroize::Zeroizing;

use super::KeeperError;

/// Makes a directory that only its owner can enter, or checks that nobody else can write to an existing one.
pub(super) fn own_directory(path: &Path) -> Result<(), KeeperError> {
    directory(path, WRITABLE)
}

/// Makes a directory that only its owner can enter, or checks that an existing one is so.
pub(super) fn private_directory(path: &Path) -> Result<(), KeeperError> {
    directory(path, USABLE)
}

fn directory(path: &Path, others: u32) -> Result<(), KeeperError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(failed(path, "making the directory"))?;
    let metadata = fs::metadata(path).map_err(failed(path, "looking at the directory"))?;
    check_closed(path, &metadata, others)
}

/// The contents of a private file, or `None` when there is none.
pub(super) fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeeperError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, "opening it")(error)),
    };
    let metadata = file.metadata().map_err(failed(path, "looking at it"))?;
    check_closed(path, &metadata, USABLE)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize));
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(failed(path, "reading it"))?;
    Ok(Some(bytes))
}

/// Writes a private file. After a crash there is the old file or the new one, whole.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), KeeperError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&draft, "removing the draft of an earlier start")(
                error,
            ));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    let opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft);
    let mut file = opened.map_err(failed(&draft, "making it"))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed(&draft, "writing it"))?;
    fs::rename(&draft, path).map_err(failed(path, "replacing it"))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed(directory, "syncing the directory"))
}

/// A file name for a workload: letters, digits, `-`, `_` and inner dots stay, all else becomes `%XX`. Two workloads never share one.
pub(super) fn name_of(workload: &str) -> Result<String, KeeperError> {
    let mut name = String::with_capacity(workload.len() + 4);
    for (index, byte) in workload.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if index > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name.push_str(".pem");
    if workload.is_empty() || name.len() > MAX_NAME {
        return Err(KeeperError::Name {
            workload: workload.to_owned(),
        });
    }
    Ok(name)
}

fn check_closed(path: &Path, metadata: &Metadata, others: u32) -> Result<(), KeeperError> {
    let problem = if metadata.uid() != geteuid().as_raw() {
        "it belongs to another user"
    } else if metadata.mode() & others != 0 {
        "other users may use it"
    } else {
        return Ok(());
    };
    Err(KeeperError::Exposed {
        path: path.to_owned(),
        problem,
    })
}

fn failed(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> KeeperError {
    move |error| KeeperError::File {
        path: path.to_owned(),
        doing,
        error,
    }
}

/// Mode bits by which others can replace what a directory holds.
const WRITABLE: u32 = 0o022;
/// Mode bits by which others can do anything at all.
const USABLE: u32 = 0o077;
/// A key and a certificate take less than 2 KiB.
const MAX_FILE: u64 = 64 * 1024;
/// `NAME_MAX` is 255; the draft's name is longer by four.
const MAX_NAME: usize = 240;
