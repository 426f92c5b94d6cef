//! What a process was started as: its executable, its words and its environment, from /proc.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStringExt;

use super::super::packages::Variables;

/// Words, and environment.
pub(super) type Invocation = (Vec<OsString>, Variables);

/// What tells a program that runs from another: its executable and its words.
#[must_use]
pub fn program(pid: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    fs::read_link(format!("/proc/{pid}/exe"))
        .ok()
        .hash(&mut hasher);
    fs::read(format!("/proc/{pid}/cmdline"))
        .ok()
        .hash(&mut hasher);
    hasher.finish()
}

/// The words and the environment of a process, and its executable as one word more, the first.
pub(super) fn invocation(pid: u32) -> Invocation {
    let parts = |name: &str| -> Vec<OsString> {
        let content = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let parts = content.split(|byte| *byte == 0);
        parts
            .filter(|part| !part.is_empty())
            .map(|part| OsString::from_vec(part.to_vec()))
            .collect()
    };
    let exe = fs::read_link(format!("/proc/{pid}/exe"));
    let exe = exe.into_iter().map(OsString::from);
    let words = exe.chain(parts("cmdline")).collect();
    let pair = |text: OsString| {
        let bytes = text.into_vec();
        let at = bytes.iter().position(|byte| *byte == b'=')?;
        let (name, value) = bytes.split_at(at);
        Some((
            OsString::from_vec(name.to_vec()),
            OsString::from_vec(value[1..].to_vec()),
        ))
    };
    let variables = parts("environ").into_iter().filter_map(pair).collect();
    (words, variables)
}
