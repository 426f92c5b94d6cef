//! The way of a child from the fork to its program: into its cgroup, out of every privilege, under its filter; and what its parent waits with.
//!
//! The steps run in the child between fork and exec, so they allocate nothing and take no lock; each step announces
//! itself by one byte in a pipe, so that the parent can name the one that failed.
//!
//! Invariants: joining the cgroup is the first step; when the program starts, all five capability sets are empty and locked
//! securebits keep an exec as uid 0 from filling them; no_new_privs is set; system calls are filtered; no descriptor above 2 is open. The first
//! process of the namespace, which never runs a program, keeps one capability where it supervises: to look into processes, of which it sees those
//! of its namespace alone.
//!
//! Kernel behaviour relied on: `capabilities(7)` (securebits are kept over exec, SECBIT_NOROOT since 2.6.26), `close_range(2)`
//! with `CLOSE_RANGE_CLOEXEC` since 5.11, cgroup v2 reads "0" as the writing task.
#![expect(unsafe_code, reason = "the module of raw system calls")]

mod bundles;
mod expect;
pub(crate) mod filter;
mod init;
mod substitute;
mod watch;

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::{self, SigHandler, SigSet, Signal};
use nix::unistd::{self, Gid, Pid, Uid};
use thiserror::Error;

pub(crate) use self::bundles::has;
pub(crate) use self::expect::Expected;
use self::filter::Filter;
pub(crate) use self::init::{Init, Supervisor};
pub(crate) use self::substitute::Substitution;
pub(crate) use self::watch::{Watched, pair};

/// What the child becomes.
#[derive(Debug)]
pub(crate) struct Descent {
    /// `cgroup.procs` of the workload's cgroup, open for writing.
    pub(crate) cgroup: File,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// Supplementary groups; `None` keeps those of the caller.
    pub(crate) groups: Option<Vec<Gid>>,
    /// The signal mask the program starts with.
    pub(crate) mask: SigSet,
    /// What it may not ask of the kernel.
    pub(crate) filter: Filter,
}

/// What is left to who descends.
struct Rights<'a> {
    /// Capabilities by their bits, below 32.
    capabilities: u32,
    filter: &'a Filter,
}

/// A child that did not get as far as its program.
#[derive(Debug, Error)]
#[error("cannot {}: {source}", step.text())]
pub(crate) struct SpawnError {
    pub(crate) step: Step,
    pub(crate) source: io::Error,
    /// The file that is not as it was expected.
    pub(crate) path: Option<CString>,
}

impl SpawnError {
    fn at(step: Step, source: io::Error) -> Self {
        Self {
            step,
            source,
            path: None,
        }
    }
}

/// Steps in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Fork,
    Init,
    Cgroup,
    Securebits,
    Bounding,
    Ids,
    Capabilities,
    NoNewPrivileges,
    Descriptors,
    Mask,
    Filter,
    Look,
    Watch,
    Exec,
}

/// Starts `command` by way of `descent`, if it finds what is expected, watched or not.
pub(crate) fn spawn(
    mut command: Command,
    descent: Descent,
    expected: Vec<Expected>,
    watched: Option<Watched>,
) -> Result<Child, SpawnError> {
    let fork = |source| SpawnError::at(Step::Fork, source);
    let paths: Vec<CString> = expected.iter().map(|one| one.path.clone()).collect();
    // Untouched pages cost nothing.
    let mut room = vec![0; LARGEST];
    let (mut progress, mut announce) = io::pipe().map_err(fork)?;
    let descend = move || {
        let mut at = |step: Step| announce.write_all(&[step as u8]);
        let rights = Rights {
            capabilities: 0,
            filter: &descent.filter,
        };
        descend(&descent, &rights, &mut at)?;
        for one in &expected {
            at(Step::Look)?;
            one.look(&mut room)?;
        }
        if let Some(watched) = &watched {
            at(Step::Watch)?;
            watched.begin()?;
        }
        at(Step::Exec)
    };
    // SAFETY: `descend` makes only system calls on data that was allocated before the fork.
    unsafe { command.pre_exec(descend) };
    let spawned = command.spawn();
    drop(command);
    spawned.map_err(|source| {
        // The writing ends are closed: the child's by its exit, the parent's with the command.
        let mut steps = Vec::new();
        match progress.read_to_end(&mut steps) {
            Ok(_) => {
                let step = steps.last().map_or(Step::Fork, |step| Step::from(*step));
                // As many files were looked into as there are announcements, the last in vain.
                let looked = steps
                    .iter()
                    .filter(|step| **step == Step::Look as u8)
                    .count();
                let path = paths.into_iter().nth(looked.saturating_sub(1));
                SpawnError {
                    step,
                    source,
                    path: path.filter(|_| step == Step::Look),
                }
            }
            Err(source) => fork(source),
        }
    })
}

/// The steps, which make only system calls.
fn descend(
    descent: &Descent,
    rights: &Rights<'_>,
    mut at: impl FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    at(Step::Cgroup)?;
    (&descent.cgroup).write_all(b"0")?;
    at(Step::Securebits)?;
    set_securebits(rights.capabilities != 0)?;
    at(Step::Bounding)?;
    drop_bounding_set()?;
    at(Step::Ids)?;
    if let Some(groups) = &descent.groups {
        unistd::setgroups(groups)?;
    }
    unistd::setresgid(descent.gid, descent.gid, descent.gid)?;
    unistd::setresuid(descent.uid, descent.uid, descent.uid)?;
    at(Step::Capabilities)?;
    set_capabilities(rights.capabilities)?;
    at(Step::NoNewPrivileges)?;
    prctl::set_no_new_privs()?;
    at(Step::Descriptors)?;
    close_descriptors_on_exec()?;
    at(Step::Mask)?;
    descent.mask.thread_set_mask()?;
    at(Step::Filter)?;
    Ok(rights.filter.install()?)
}

/// Undoes an inherited "ignore", with which a child's status is thrown away.
pub(crate) fn keep_child_status() -> nix::Result<()> {
    // SAFETY: the default action runs no code of this process.
    unsafe { signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map(drop)
}

/// A descriptor that becomes readable when the process ends.
pub(crate) fn pidfd(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: takes integers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Blocks until one of the two is readable, and says which are.
pub(crate) fn readable(fds: [BorrowedFd<'_>; 2]) -> nix::Result<[bool; 2]> {
    let mut polled = fds.map(|fd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: points to two live structs; the descriptors are open for as long as they are borrowed.
    Errno::result(unsafe { libc::poll(polled.as_mut_ptr(), 2, -1) })?;
    Ok(polled.map(|fd| fd.revents != 0))
}

/// Whether one becomes readable within so many milliseconds.
fn readable_within(fd: &impl AsFd, milliseconds: u16) -> nix::Result<bool> {
    let mut polled = libc::pollfd {
        fd: fd.as_fd().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: points to a live struct; the descriptor is open for as long as it is borrowed.
    Errno::result(unsafe { libc::poll(&raw mut polled, 1, milliseconds.into()) })
        .map(|ready| ready > 0)
}

impl Step {
    /// In words that follow "cannot".
    fn text(self) -> &'static str {
        match self {
            Step::Fork => "start a process",
            Step::Init => "start the first process of its namespace",
            Step::Cgroup => "join the workload's cgroup",
            Step::Securebits => "lock the securebits",
            Step::Bounding => "empty the capability bounding set",
            Step::Ids => "change to the workload's user",
            Step::Capabilities => "drop capabilities",
            Step::NoNewPrivileges => "set no_new_privs",
            Step::Descriptors => "close descriptors",
            Step::Mask => "restore the signal mask",
            Step::Filter => "filter system calls",
            Step::Look => "find the CA",
            Step::Watch => "have the opening of files watched (`--trust=fdsubst`)",
            Step::Exec => "run the command",
        }
    }
}

impl From<u8> for Step {
    fn from(byte: u8) -> Self {
        use Step::*;
        const ORDER: [Step; 14] = [
            Fork,
            Init,
            Cgroup,
            Securebits,
            Bounding,
            Ids,
            Capabilities,
            NoNewPrivileges,
            Descriptors,
            Mask,
            Filter,
            Look,
            Watch,
            Exec,
        ];
        ORDER
            .into_iter()
            .find(|step| *step as u8 == byte)
            .unwrap_or(Fork)
    }
}

/// Uid 0 gives no capability on exec, none is kept over a change of uid but where that is wanted, none becomes ambient; and this for good.
fn set_securebits(keep: bool) -> nix::Result<()> {
    let kept = if keep { libc::SECBIT_KEEP_CAPS } else { 0 };
    let bits = kept
        | libc::SECBIT_NOROOT
        | libc::SECBIT_NOROOT_LOCKED
        | libc::SECBIT_KEEP_CAPS_LOCKED
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE
        | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    // SAFETY: takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0) }).map(drop)
}

fn drop_bounding_set() -> nix::Result<()> {
    for capability in 0..=HIGHEST_CAPABILITY {
        // SAFETY: takes integers only.
        match Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            // The running kernel knows no more.
            Err(Errno::EINVAL) if capability > 0 => break,
            other => other.map(drop)?,
        }
    }
    Ok(())
}

/// Empties the permitted, effective and inheritable sets, and with them the ambient one.
pub(crate) fn clear_capabilities() -> nix::Result<()> {
    set_capabilities(0)
}

/// Leaves these in the permitted and the effective set.
fn set_capabilities(kept: u32) -> nix::Result<()> {
    let header = CapabilityHeader {
        version: LINUX_CAPABILITY_VERSION_3,
        pid: 0,
    };
    let sets = [kept, kept, 0, 0, 0, 0_u32];
    // SAFETY: both point to live values of the layout of version 3: a header of 8 bytes, two structs of three u32.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) })
        .map(drop)
}

/// On exec and not at once: the standard library reports a failed exec through a descriptor of its own.
fn close_descriptors_on_exec() -> nix::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: takes integers only, and closes nothing before the exec.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) })
        .map(drop)
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Of files that are looked into: they lie on a file system that holds no more.
const LARGEST: usize = 64 << 20;

/// Capability sets have 64 bits.
const HIGHEST_CAPABILITY: libc::c_ulong = 63;
