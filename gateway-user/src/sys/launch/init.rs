//! The first process of a process namespace: it reaps whom nobody waits for, and outlives all others.
//!
//! The command itself is not the first process, for whom signals without a handler do nothing; it is started after it, and is a child of
//! the process outside, which waits for it and shares its terminal and process group as without a namespace. When that process has ended, so
//! does the first one as soon as it is alone; what still runs in the background is not killed.
//!
//! Between fork and the end only system calls are made: nothing is allocated, no lock is taken.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

use super::{Descent, SpawnError, Step, descend, pidfd, readable_within};

/// A first process that runs. Dropping it says that it may end.
#[derive(Debug)]
pub(crate) struct Init {
    pid: Pid,
    /// It reads the other end.
    life: Option<OwnedFd>,
}

impl Init {
    /// Starts it, as the first child of a thread that has made a process namespace, and mounts the namespace's own /proc.
    pub(crate) fn start(descent: &Descent) -> Result<Self, SpawnError> {
        let failed = |source: io::Error| SpawnError {
            step: Step::Init,
            source,
        };
        let (life, hold) = io::pipe().map_err(failed)?;
        let (mut ready, report) = io::pipe().map_err(failed)?;
        let (life, hold, report) = (
            OwnedFd::from(life),
            OwnedFd::from(hold),
            OwnedFd::from(report),
        );
        // SAFETY: the child makes only system calls, on data that was allocated before, and never returns.
        let pid = match unsafe { libc::fork() } {
            0 => first(descent, life.as_raw_fd(), report.as_raw_fd()),
            pid => Errno::result(pid).map_err(|errno| failed(errno.into()))?,
        };
        let init = Self {
            pid: Pid::from_raw(pid),
            life: Some(hold),
        };
        drop((life, report));
        let mut errno = [0; 4];
        match ready.read_exact(&mut errno) {
            Ok(()) if errno == [0; 4] => Ok(init),
            Ok(()) => Err(failed(io::Error::from_raw_os_error(i32::from_ne_bytes(
                errno,
            )))),
            Err(source) => Err(failed(source)),
        }
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        self.life = None;
        // Alone, it is gone in a moment; with others it stays, and is no longer ours to wait for.
        let ended = pidfd(self.pid).and_then(|process| readable_within(&process, MOMENT));
        if ended == Ok(true) {
            let _ = nix::sys::wait::waitpid(self.pid, None);
        }
    }
}

/// What the first process does with its life.
fn first(descent: &Descent, life: RawFd, report: RawFd) -> ! {
    let prepared = prepare(descent, life);
    let errno = prepared.err().map_or(0, |errno| errno as i32).to_ne_bytes();
    // SAFETY: points to four bytes; what cannot be reported is found by the end of the pipe.
    unsafe { libc::write(report, errno.as_ptr().cast(), errno.len()) };
    if errno != [0; 4] {
        // SAFETY: ends the process at once, without running anything of the parent's.
        unsafe { libc::_exit(1) };
    }
    // SAFETY: takes integers only; descriptor 0 is `life` by now.
    unsafe { libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0) };
    let mut byte = 0_u8;
    // SAFETY: points to one byte. Nothing is ever written: the end of the pipe is the end of the launch.
    while Errno::result(unsafe { libc::read(0, (&raw mut byte).cast(), 1) }) == Err(Errno::EINTR) {}
    // SAFETY: signal 0 is sent to nobody; -1 stands for everybody else of this namespace.
    while Errno::result(unsafe { libc::kill(-1, 0) }) != Err(Errno::ESRCH) {
        // SAFETY: waits; there is nothing to poll.
        unsafe { libc::poll(std::ptr::null_mut(), 0, PERIOD) };
    }
    // SAFETY: as above.
    unsafe { libc::_exit(0) }
}

fn prepare(descent: &Descent, life: RawFd) -> nix::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let (source, target) = (c"proc".as_ptr(), c"/proc".as_ptr());
    // SAFETY: the strings are static, and this file system takes no data.
    let mounted = unsafe { libc::mount(source, target, source, flags, std::ptr::null()) };
    Errno::result(mounted)?;
    // SAFETY: these take integers or static strings, and the ignored signal runs no code: the kernel then reaps by itself.
    unsafe {
        Errno::result(libc::signal(libc::SIGCHLD, libc::SIG_IGN) as isize)?;
        Errno::result(libc::setsid())?;
        Errno::result(libc::chdir(c"/".as_ptr()))?;
        Errno::result(libc::dup2(life, 0))?;
    }
    descend(descent, |_| Ok(()))
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    // Its memory is a copy of its parent's.
    // SAFETY: takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// How long to wait for one that is alone.
const MOMENT: u16 = 200;
/// Milliseconds between two looks at whether it is alone.
const PERIOD: libc::c_int = 20;
