//! Which process group is in the foreground of a terminal.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// The group in the foreground.
pub(crate) fn foreground(terminal: &impl AsFd) -> nix::Result<Pid> {
    #[expect(
        unsafe_code,
        reason = "nix has this behind a feature that nothing else needs"
    )]
    // SAFETY: takes an integer only.
    let group = unsafe { libc::tcgetpgrp(terminal.as_fd().as_raw_fd()) };
    Errno::result(group).map(Pid::from_raw)
}

/// Puts a group into the foreground.
pub(crate) fn set_foreground(terminal: &impl AsFd, group: Pid) -> nix::Result<()> {
    #[expect(
        unsafe_code,
        reason = "nix has this behind a feature that nothing else needs"
    )]
    // SAFETY: takes integers only.
    let set = unsafe { libc::tcsetpgrp(terminal.as_fd().as_raw_fd(), group.as_raw()) };
    Errno::result(set).map(drop)
}
