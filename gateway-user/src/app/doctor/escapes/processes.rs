//! Processes and threads that would rather be somebody else: each then connects over plain TCP.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::unistd;
use socket2::Protocol;

use super::Attempt;
use super::scene::{Scene, stream};
use crate::sys::attempt;

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("thread", "another thread", "connect4", |scene| {
        let scene = scene.clone();
        let thread = std::thread::spawn(move || tcp(&scene));
        thread.join().map_err(|_| io::ErrorKind::Other)?
    }),
    Attempt::new(
        "double-fork",
        "a daemon: two forks and a session of its own",
        "lineage",
        double_fork,
    ),
    Attempt::new(
        "leader-gone",
        "a thread whose leader has ended",
        "lineage",
        leader_gone,
    ),
    Attempt::new(
        "name",
        "the name of a system service",
        "identity is no name",
        |scene| {
            prctl::set_name(c"systemd-resolve")?;
            tcp(scene)
        },
    ),
    Attempt::new(
        "memfd",
        "a program that lies in no file system (memfd)",
        "lineage",
        memfd,
    ),
    Attempt::new(
        "root-cgroup",
        "a move to the root cgroup",
        "lineage",
        |scene| {
            join(&root(scene)?)?;
            tcp(scene)
        },
    )
    .by_root(),
    Attempt::new(
        "other-cgroup",
        "a move to a cgroup that is not governed",
        "lineage",
        |scene| {
            join(&scene.elsewhere)?;
            tcp(scene)
        },
    )
    .by_root(),
    Attempt::new(
        "child-cgroup",
        "a child cgroup of its own",
        "ancestors are looked at",
        |scene| {
            let child = scene.cgroup.join("attempt");
            std::fs::create_dir(&child)?;
            join(&child)?;
            let outcome = tcp(scene);
            // Its last process goes back, so that it can be removed.
            join(&scene.cgroup)?;
            std::fs::remove_dir(&child)?;
            outcome
        },
    )
    .by_root(),
    Attempt::new(
        "user-namespace",
        "a user namespace of its own",
        "connect4",
        |scene| {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            tcp(scene)
        },
    ),
    Attempt::new(
        "cgroup-namespace",
        "a cgroup namespace of its own",
        "connect4",
        |scene| {
            unshare(CloneFlags::CLONE_NEWCGROUP)?;
            tcp(scene)
        },
    )
    .by_root(),
];

fn tcp(scene: &Scene) -> io::Result<()> {
    let to = scene.targets.v4;
    scene.reach(&stream(to, Protocol::TCP)?, to)
}

fn join(cgroup: &Path) -> io::Result<()> {
    std::fs::write(cgroup.join("cgroup.procs"), "0")
}

/// The topmost folder that is a cgroup.
fn root(scene: &Scene) -> io::Result<std::path::PathBuf> {
    let above = scene.cgroup.ancestors();
    let cgroups = above.take_while(|folder| folder.join("cgroup.procs").exists());
    Ok(cgroups.last().ok_or(io::ErrorKind::NotFound)?.to_owned())
}

fn double_fork(scene: &Scene) -> io::Result<()> {
    match scene.stage {
        0 => scene.next()?.spawn()?,
        1 => {
            unistd::setsid()?;
            scene.next()?.spawn()?
        }
        _ => {
            // Its parent ends at about this time; then it belongs to somebody else.
            while is_ours() {
                std::thread::yield_now();
            }
            return tcp(scene);
        }
    };
    std::process::exit(0)
}

/// Whether the parent is still a process of this attempt.
fn is_ours() -> bool {
    let program = |pid: String| std::fs::read_link(Path::new("/proc").join(pid).join("exe")).ok();
    program(unistd::getppid().to_string()) == program("self".to_owned())
}

fn leader_gone(scene: &Scene) -> io::Result<()> {
    let scene = scene.clone();
    std::thread::spawn(move || {
        let stat = format!("/proc/{}/stat", std::process::id());
        while !std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")) {
            std::thread::yield_now();
        }
        scene.tell(std::time::Instant::now(), tcp(&scene));
        std::process::exit(0);
    });
    Err(attempt::end_thread())
}

fn memfd(scene: &Scene) -> io::Result<()> {
    if scene.stage > 0 {
        return tcp(scene);
    }
    let mut memory = File::from(memfd_create(c"attempt", MFdFlags::MFD_CLOEXEC)?);
    io::copy(&mut File::open("/proc/self/exe")?, &mut memory)?;
    let program = format!("/proc/self/fd/{}", memory.as_raw_fd());
    scene.next_as(Path::new(&program))?.status()?;
    std::process::exit(0)
}
