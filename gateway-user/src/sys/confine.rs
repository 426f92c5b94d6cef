//! What a process of the gateway gives up for good, by its own calls.
//!
//! In: nothing but the calling process. Out: fewer privileges. Fails loudly: a process that could not give something up must not go on.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{self, SigHandler, Signal};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// Nobody looks into this process: no core dump, no ptrace and no `/proc/PID/mem` but by `CAP_SYS_PTRACE`.
///
/// # Errors
/// The kernel refused.
pub fn hide() -> io::Result<()> {
    prctl::set_dumpable(false)?;
    Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?)
}

/// Ends with the thread that started this process, also where that is killed. To be called by a process that has its final user; one
/// whose parent has ended before finds its socket closed.
///
/// # Errors
/// The kernel refused.
pub fn die_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// Whoever stops the gateway tells one process, which tells the others; a terminal and a service manager tell all.
///
/// # Errors
/// The kernel refused.
pub fn ignore_stop_signals() -> io::Result<()> {
    for of in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        #[expect(unsafe_code, reason = "signal handlers are unsafe in general")]
        // SAFETY: ignoring runs no code of this process.
        unsafe { signal::signal(of, SigHandler::SigIgn) }?;
    }
    Ok(())
}

/// Becomes an ordinary user, for good, with no capability left.
///
/// # Errors
/// The kernel refused.
pub fn become_user(id: u32) -> io::Result<()> {
    bound_capabilities(&[])?;
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    keep_capabilities(&[])
}

/// Keeps this much memory at most; beyond it an allocation fails, and with it the process.
///
/// # Errors
/// The kernel refused.
pub fn limit_memory(bytes: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?)
}

/// Keeps these capabilities at most, and no program it runs gets more; `kept` are numbers of capability(7).
///
/// # Errors
/// The kernel refused.
pub fn keep_capabilities(kept: &[u32]) -> io::Result<()> {
    bound_capabilities(kept)?;
    let mut sets = [Sets::default(); 2];
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    #[expect(unsafe_code, reason = "no crate wraps capget(2)")]
    // SAFETY: both point to live values of the layout of version 3.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) };
    Errno::result(got)?;
    for (half, set) in (0..).zip(&mut sets) {
        let mask = kept.iter().filter(|number| *number / 32 == half);
        let mask = mask.fold(0, |mask, number| mask | 1 << (number % 32));
        *set = Sets {
            effective: set.effective & mask,
            permitted: set.permitted & mask,
            inheritable: 0,
        };
    }
    #[expect(unsafe_code, reason = "no crate wraps capset(2)")]
    // SAFETY: both point to live values of the layout of version 3.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    Errno::result(set)?;
    Ok(())
}

fn bound_capabilities(kept: &[u32]) -> io::Result<()> {
    for capability in (0..=HIGHEST).filter(|capability| !kept.contains(capability)) {
        #[expect(unsafe_code, reason = "no crate wraps PR_CAPBSET_DROP")]
        // SAFETY: takes integers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(dropped) {
            // The running kernel knows no more.
            Err(Errno::EINVAL) if capability > 0 => break,
            // Without SETPCAP the bounding set stays; no_new_privs does the same.
            Err(Errno::EPERM) => break,
            other => other.map(drop)?,
        }
    }
    Ok(())
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION_3: u32 = 0x2008_0522;
/// Capability sets have 64 bits.
const HIGHEST: u32 = 63;
/// `CAP_CHOWN`.
pub const CHOWN: u32 = 0;
/// `CAP_DAC_OVERRIDE`.
pub const DAC_OVERRIDE: u32 = 1;
/// `CAP_DAC_READ_SEARCH`.
pub const DAC_READ_SEARCH: u32 = 2;
/// `CAP_FOWNER`.
pub const FOWNER: u32 = 3;
/// `CAP_KILL`.
pub const KILL: u32 = 5;
/// `CAP_NET_ADMIN`.
pub const NET_ADMIN: u32 = 12;
/// `CAP_SYS_CHROOT`.
pub const SYS_CHROOT: u32 = 18;
/// `CAP_SYS_PTRACE`.
pub const SYS_PTRACE: u32 = 19;
/// `CAP_SYS_ADMIN`.
pub const SYS_ADMIN: u32 = 21;
/// `CAP_SYS_RESOURCE`.
pub const SYS_RESOURCE: u32 = 24;
/// `CAP_PERFMON`.
pub const PERFMON: u32 = 38;
/// `CAP_BPF`.
pub const BPF: u32 = 39;
