//! Waits for the child and passes on the signals meant for it.
//!
//! The child is in the same session and process group, so a signal from the terminal (Ctrl-C, Ctrl-\, Ctrl-Z) reaches it
//! without help and is only ignored here; one that a process sent to us is passed on. A stop by the terminal stops both.
//!
//! A shell that leaves gives the terminal back to the group it found in the foreground. That is ours, which has no number in the process namespace of
//! the child: so it is done here.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{self, SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp};

use crate::sys::{self, terminal};

/// Signals held back from their default action.
pub(super) struct Signals {
    received: SignalFd,
    before: SigSet,
    /// The terminal, if this process is in its foreground.
    terminal: Option<File>,
}

impl Signals {
    /// Holds them back from now on, in this thread: other threads of the process would still be ended by them.
    pub(super) fn hold() -> nix::Result<Self> {
        sys::launch::keep_child_status()?;
        let held = SigSet::from_iter(PASSED_ON);
        let before = held.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let received = SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC)?;
        let terminal = File::open("/dev/tty").ok();
        Ok(Self {
            received,
            before,
            terminal: terminal.filter(|tty| terminal::foreground(tty) == Ok(getpgrp())),
        })
    }

    /// The mask before.
    pub(super) fn before(&self) -> SigSet {
        self.before
    }

    /// The child's exit code, or 128 and the number of the signal that ended it.
    pub(super) fn wait(&self, child: Pid) -> nix::Result<u8> {
        let ended = sys::launch::pidfd(child)?;
        loop {
            match sys::launch::readable([ended.as_fd(), self.received.as_fd()]) {
                Ok([true, _]) => break,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error),
            }
            if let Some(info) = self.received.read_signal()? {
                pass_on(&info, child)?;
            }
        }
        match waitpid(child, None)? {
            // The kernel keeps eight bits of it.
            WaitStatus::Exited(_, code) => Ok((code & 0xff) as u8),
            WaitStatus::Signaled(_, signal, _) => Ok(128 + signal as u8),
            // Not asked for, and never the status of a process that has ended.
            _ => Err(Errno::ECHILD),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if let Some(terminal) = self.terminal.take() {
            take_back(&terminal);
        }
        // Fails only for a mask the kernel does not know, and it gave us this one.
        let _ = self.before.thread_set_mask();
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals")
            .field("fd", &self.received.as_raw_fd())
            .finish()
    }
}

/// Puts this process into the foreground again. Who asks for that from the background is stopped, unless the signal is held back.
fn take_back(terminal: &File) {
    let ours = getpgrp();
    if terminal::foreground(terminal) == Ok(ours) {
        return;
    }
    let stop = SigSet::from_iter([Signal::SIGTTOU]);
    if let Ok(before) = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK) {
        // Without a terminal any more there is nothing to take.
        let _ = terminal::set_foreground(terminal, ours);
        let _ = before.thread_set_mask();
    }
}

fn pass_on(info: &siginfo, child: Pid) -> nix::Result<()> {
    let by_terminal = info.ssi_code == libc::SI_KERNEL;
    let by_child = info.ssi_pid == child.as_raw().cast_unsigned();
    if by_terminal || by_child {
        return Ok(());
    }
    match signal::kill(child, Signal::try_from(info.ssi_signo.cast_signed())?) {
        // It ended meanwhile, and the caller's next look finds that.
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

const PASSED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
