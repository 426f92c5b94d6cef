//! The first process of a launch's process namespace, told from the command and what that has started.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// Whether a process of a launch is the one that the launch itself made to be the first: it runs this very program, and is the first of a process
/// namespace within this one. A launch can make no process namespace, so nobody in it can be a second one.
#[must_use]
pub fn is_first(pid: u32) -> bool {
    let program = |of: &str| {
        let meta = fs::metadata(format!("/proc/{of}/exe")).ok()?;
        Some((meta.dev(), meta.ino()))
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    begins(&status) && program("self").is_some_and(|own| program(&pid.to_string()) == Some(own))
}

/// Its numbers, from this namespace's to its own.
fn begins(status: &str) -> bool {
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .unwrap_or_default();
    let mut numbers = numbers.split_whitespace();
    numbers.next().is_some() && numbers.next_back() == Some("1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_of_an_inner_namespace_is_known_by_its_numbers() {
        for (status, first) in [
            ("Name:\ta\nNSpid:\t4711\t1\nNSpgid:\t4711\t1\n", true),
            ("NSpid:\t4711\t12\t1\n", true),
            ("NSpid:\t4711\t2\n", false),
            ("NSpid:\t4711\n", false),
            ("NSpid:\t1\n", false),
            ("Pid:\t4711\t1\n", false),
            ("", false),
        ] {
            assert_eq!(begins(status), first, "{status:?}");
        }
        assert!(
            !is_first(std::process::id()),
            "it runs this program, and is no first process"
        );
    }
}
