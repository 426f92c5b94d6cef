//! The sockets of the host that have a name in the file system.
//!
//! Whoever may open a path may connect to the socket behind it, from any network namespace. A launch finds those that there are when it
//! starts covered; what is bound later is not, except in folders that are covered as a whole.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// The paths at which something of this network namespace is bound.
pub(super) fn bound() -> Vec<PathBuf> {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let mut paths = parse(&table);
    paths.retain(|path| is_socket(path));
    paths
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

/// One line for each socket: seven fields, then the path, which may contain anything but a line's end.
fn parse(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let mut paths: Vec<PathBuf> = lines
        .filter_map(|line| {
            let start = line.windows(2).position(|pair| pair == b" /")?;
            Some(PathBuf::from(OsStr::from_bytes(&line[start + 1..])))
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_from_the_table_and_names_without_one_are_not() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 26514 /run/a b/x\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 26515 @/abstract\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 26516\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 26517 /run/a b/x\n";
        assert_eq!(parse(table), [PathBuf::from("/run/a b/x")]);
    }
}
