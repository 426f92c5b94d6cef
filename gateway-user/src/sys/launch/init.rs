//! The first process of a process namespace: it reaps whom nobody waits for, and outlives all others.
//!
//! The command itself is not the first process, for whom signals without a handler do nothing; it is started after it, and is a child of
//! the process outside, which waits for it and shares its terminal and process group as without a namespace. When that process has ended, so
//! does the first one as soon as it is alone; what still runs in the background is not killed.
//!
//! Under `--trust=fdsubst` it answers what the launch asks when it opens files ([`super::substitute`]). It lives for as long as anybody who asks, and
//! when it ends for whatever reason, the kernel ends everybody in its namespace: nobody is left who waits for an answer, or goes on without.
//!
//! Between fork and the end only system calls are made: nothing is allocated, no lock is taken.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

use super::filter::Filter;
use super::watch::{self, Door};
use super::{Descent, Rights, SpawnError, Step, Substitution, descend, pidfd, readable_within};

/// A first process that runs. Dropping it says that it may end.
#[derive(Debug)]
pub(crate) struct Init {
    pid: Pid,
    /// It reads the other end.
    life: Option<OwnedFd>,
}

/// What makes it answer for files that are opened.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) door: Door,
    pub(crate) substitution: Substitution,
}

impl Init {
    /// Starts it, as the first child of a thread that has made a process namespace, and mounts the namespace's own /proc.
    pub(crate) fn start(
        descent: &Descent,
        supervisor: Option<Supervisor>,
    ) -> Result<Self, SpawnError> {
        let failed = |source: io::Error| SpawnError::at(Step::Init, source);
        let (life, hold) = io::pipe().map_err(failed)?;
        let (mut ready, report) = io::pipe().map_err(failed)?;
        let (life, hold, report) = (
            OwnedFd::from(life),
            OwnedFd::from(hold),
            OwnedFd::from(report),
        );
        let filter = Filter::of_supervisors();
        // SAFETY: the child makes only system calls, on data that was allocated before, and never returns.
        let pid = match unsafe { libc::fork() } {
            0 => first(
                descent,
                supervisor,
                &filter,
                life.as_raw_fd(),
                report.as_raw_fd(),
            ),
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
fn first(
    descent: &Descent,
    mut supervisor: Option<Supervisor>,
    filter: &Filter,
    life: RawFd,
    report: RawFd,
) -> ! {
    let _never = NoReturn;
    let rights = match &supervisor {
        Some(_) => Rights {
            capabilities: 1 << SYS_PTRACE,
            filter,
        },
        None => Rights {
            capabilities: 0,
            filter: &descent.filter,
        },
    };
    let prepared = prepare(descent, &rights, life);
    let errno = prepared.err().map_or(0, |errno| errno as i32).to_ne_bytes();
    // SAFETY: points to four bytes; what cannot be reported is found by the end of the pipe.
    unsafe { libc::write(report, errno.as_ptr().cast(), errno.len()) };
    if errno != [0; 4] {
        // SAFETY: ends the process at once, without running anything of the parent's.
        unsafe { libc::_exit(1) };
    }
    let door = supervisor
        .as_ref()
        .map_or(-1, |supervisor| supervisor.door.as_raw_fd());
    // SAFETY: takes integers only; descriptor 0 is `life` by now, and what was at 1 and 2 is not needed.
    unsafe {
        libc::dup2(door, 1);
        libc::syscall(
            libc::SYS_close_range,
            1 + u32::from(door >= 0),
            libc::c_uint::MAX,
            0,
        );
    }
    let served = match &mut supervisor {
        Some(supervisor) => serve(&mut supervisor.substitution),
        None => Ok(()),
    };
    if served.is_err() {
        // SAFETY: as above. Whoever waits for an answer ends with this process.
        unsafe { libc::_exit(1) };
    }
    let mut byte = 0_u8;
    // SAFETY: points to one byte. Nothing is ever written: the end of the pipe is the end of the launch.
    while Errno::result(unsafe { libc::read(0, (&raw mut byte).cast(), 1) }) == Err(Errno::EINTR) {}
    while !alone() {
        // SAFETY: waits; there is nothing to poll.
        unsafe { libc::poll(std::ptr::null_mut(), 0, PERIOD) };
    }
    // SAFETY: as above.
    unsafe { libc::_exit(0) }
}

fn alone() -> bool {
    // SAFETY: signal 0 is sent to nobody; -1 stands for everybody else of this namespace.
    Errno::result(unsafe { libc::kill(-1, 0) }) == Err(Errno::ESRCH)
}

/// Answers for files that are opened until nobody is left who could ask. An error means that the launch cannot go on.
fn serve(substitution: &mut Substitution) -> nix::Result<()> {
    // The command is watched before it runs, or never comes to run.
    let mut polled = [0, 1].map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    wait(&mut polled)?;
    let [life, door] = polled;
    if door.revents & libc::POLLIN == 0 && life.revents != 0 {
        return Ok(());
    }
    let Some(listener) = watch::receive(1)? else {
        return Ok(());
    };
    let listener = listener.as_raw_fd();
    // Nothing more comes through the door, and a socket to outside is a way out for who looks at it from there.
    // SAFETY: nobody else knows this descriptor, and it is not used any more.
    unsafe { libc::close(1) };
    // Who asks waits anyway: the answer comes on the same processor, a quarter sooner. Since 6.6; without it answers come all the same.
    // SAFETY: takes integers only.
    unsafe { libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
    let mut polled = [libc::pollfd {
        fd: listener,
        events: libc::POLLIN,
        revents: 0,
    }];
    loop {
        wait(&mut polled)?;
        let [asked] = polled;
        match asked.revents {
            revents if revents & libc::POLLIN != 0 => substitution.answer(listener)?,
            revents if revents & libc::POLLHUP != 0 => return Ok(()),
            _ => return Err(Errno::EBADF),
        }
    }
}

fn wait(polled: &mut [libc::pollfd]) -> nix::Result<()> {
    loop {
        // SAFETY: points to live structs.
        match Errno::result(unsafe {
            libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1)
        }) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// A panic would run on into what its parent does.
struct NoReturn;

impl Drop for NoReturn {
    fn drop(&mut self) {
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(1) };
    }
}

fn prepare(descent: &Descent, rights: &Rights<'_>, life: RawFd) -> nix::Result<()> {
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
    descend(descent, rights, |_| Ok(()))
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    // Its memory is a copy of its parent's.
    // SAFETY: takes integers only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// `CAP_SYS_PTRACE`: the memory of processes that Yama, or they themselves, keep from others.
const SYS_PTRACE: u32 = 19;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`
const SYNC_WAKE_UP: libc::c_ulong = 1;
/// How long to wait for one that is alone.
const MOMENT: u16 = 200;
/// Milliseconds between two looks at whether it is alone.
const PERIOD: libc::c_int = 20;
