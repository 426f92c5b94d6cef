//! A cgroup's path as the key of the map of tagged paths: its bytes from the root of the hierarchy, padded with zeros.
//!
//! The whole path is the key, so that no two cgroups share one: there is no digest that could collide. The kernel hands the path to
//! `cgroup_mkdir` without a trailing slash and without dots; [`key`] accepts exactly that form, so that what user space files is what the
//! kernel looks up.

use crate::scope::MAX_LEVEL;

/// Bytes of a key: as many as a hash map takes (`MAX_BPF_STACK`, kernel/bpf/hashtab.c).
pub const KEY: usize = 512;

/// Longest path that can be tagged. One more would look like a longer one that was cut to fit.
pub const MAX_PATH: usize = KEY - 2;

/// A key in words, as the programs build it: an array of words is cleared in few instructions.
pub type Words = [u64; KEY / 8];

/// Longest name of a folder (`NAME_MAX`).
const MAX_NAME: usize = 255;

/// Why a path cannot be tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// It does not begin with a slash.
    Relative,
    /// It names the root.
    Root,
    /// An empty, overlong or dotted part, or a zero byte.
    Part,
    /// It has more than [`MAX_PATH`] bytes.
    Long,
    /// It has more than [`MAX_LEVEL`] parts.
    Deep,
}

/// The key of a path.
pub fn key(path: &[u8]) -> Result<[u8; KEY], BadPath> {
    match path {
        b"/" => return Err(BadPath::Root),
        [b'/', ..] => {}
        _ => return Err(BadPath::Relative),
    }
    if path.len() > MAX_PATH {
        return Err(BadPath::Long);
    }
    let mut level = 0;
    for part in path[1..].split(|byte| *byte == b'/') {
        level += 1;
        let plain = !part.is_empty() && part.len() <= MAX_NAME && !part.contains(&0);
        if !plain || part == b"." || part == b".." {
            return Err(BadPath::Part);
        }
    }
    if level > MAX_LEVEL {
        return Err(BadPath::Deep);
    }
    let mut key = [0; KEY];
    key[..path.len()].copy_from_slice(path);
    Ok(key)
}

/// The path of a key.
pub fn path(key: &[u8; KEY]) -> &[u8] {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(KEY);
    &key[..end]
}

/// Is this the length of a whole path, not of one that was cut at the end of the buffer?
#[inline(always)]
pub const fn is_whole(length: usize) -> bool {
    length <= MAX_PATH
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    extern crate std;
    use std::{vec, vec::Vec};

    use super::*;

    fn of_length(length: usize) -> Vec<u8> {
        let mut path = vec![b'x'; length];
        path.iter_mut().step_by(200).for_each(|byte| *byte = b'/');
        path
    }

    #[test]
    fn a_key_is_its_path_and_nothing_else() {
        for path in ["/a", "/system.slice/x@\\x2d1.service", "/\u{e4} b/c"] {
            let key = key(path.as_bytes()).unwrap();
            assert_eq!(super::path(&key), path.as_bytes());
            assert!(key[path.len()..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn other_spellings_of_a_path_are_refused() {
        for (path, problem) in [
            ("", BadPath::Relative),
            ("a/b", BadPath::Relative),
            ("/", BadPath::Root),
            ("//", BadPath::Part),
            ("/a/", BadPath::Part),
            ("/a//b", BadPath::Part),
            ("/a/./b", BadPath::Part),
            ("/a/../b", BadPath::Part),
            ("/a\0b", BadPath::Part),
        ] {
            assert_eq!(key(path.as_bytes()), Err(problem), "{path:?}");
        }
        assert_eq!(key(&[&b"/"[..], &[b'x'; 256]].concat()), Err(BadPath::Part));
        assert_eq!(key(&b"/d".repeat(17)), Err(BadPath::Deep));
        assert!(key(&b"/d".repeat(16)).is_ok());
    }

    #[test]
    fn a_path_that_was_cut_is_not_taken_for_one_that_fits() {
        for length in MAX_PATH - 3..KEY + 3 {
            let path = of_length(length);
            // What a buffer of a key's size keeps of it, with the zero at its end.
            let kept = length.min(KEY - 1);
            assert_eq!(is_whole(kept), key(&path).is_ok(), "{length}");
        }
    }
}
