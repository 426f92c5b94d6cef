//! What a free process has, taken or lent: its sockets, its memory, its services.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;
use socket2::{Protocol, Socket};

use super::scene::{Scene, stream};
use super::{Attempt, Begins};
use crate::sys::{attempt, descriptor, launch};

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt::new(
        "passed-socket",
        "an unconnected socket that a free process hands over (SCM_RIGHTS)",
        "connect4 decides by the current task",
        |scene| passed(scene, false),
    )
    .begins(Begins::Outside),
    Attempt::new(
        "passed-connection",
        "a connected socket that a free process hands over (SCM_RIGHTS)",
        "",
        |scene| passed(scene, true),
    )
    .begins(Begins::Outside)
    .open("takes a free accomplice; `run` leaves no way to receive one, `status` lists one that is there, LSM programs close it"),
    Attempt::new(
        "taken-connection",
        "a connected socket of a free process of the same user (pidfd_getfd)",
        "",
        taken,
    )
    .begins(Begins::Outside)
    .open("the kernel's rule for debuggers decides; `run` closes it by seccomp and a process namespace, a user of its own closes it, too"),
    Attempt::new("unix", "a UNIX socket of a service outside", "", |scene| {
        let name = UnixAddr::from_abstract_name(&scene.targets.unix)?;
        let mut socket = UnixStream::connect_addr(&name)?;
        socket.write_all(scene.token.as_bytes())
    })
    .open("no hook reads where it leads; `run` hides such sockets, `status` lists what is connected"),
];

/// The first process stays free and hands over; the second one is governed.
fn passed(scene: &Scene, connect: bool) -> io::Result<()> {
    if scene.stage > 0 {
        scene.enter()?;
        let socket = Socket::from(attempt::receive(&io::stdin())?);
        return match connect {
            true => scene.say(&socket),
            false => scene.reach(&socket, scene.targets.v4),
        };
    }
    let (ours, theirs) = UnixDatagram::pair()?;
    let socket = stream(scene.targets.v4, Protocol::TCP)?;
    if connect {
        socket.connect(&scene.targets.v4.into())?;
    }
    let rights = [socket.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&rights)];
    let byte = [io::IoSlice::new(b"x")];
    sendmsg::<()>(ours.as_raw_fd(), &byte, &message, MsgFlags::empty(), None)?;
    let mut second = scene.next()?;
    let status = second.stdin(Stdio::from(OwnedFd::from(theirs))).status()?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Two processes of the user nobody: a free one with a connection (stages 1 and 2), and this one, which then is governed (3).
fn taken(scene: &Scene) -> io::Result<()> {
    match scene.stage {
        0 => {
            let mut neighbour = scene
                .next()?
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut line = String::new();
            let output = neighbour.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            BufReader::new(output).read_line(&mut line)?;
            let number = line
                .trim()
                .parse()
                .map_err(|_| io::ErrorKind::InvalidData)?;
            scene.enter()?;
            Scene::become_nobody()?;
            let pid = i32::try_from(neighbour.id()).map_err(|_| io::ErrorKind::InvalidData)?;
            let process = launch::pidfd(Pid::from_raw(pid))?;
            let socket = descriptor::of_process(process.as_fd(), number);
            let said = socket.and_then(|socket| scene.say(&Socket::from(socket)));
            // It ends with its input.
            drop(neighbour.stdin.take());
            neighbour.wait()?;
            said
        }
        1 => {
            Scene::become_nobody()?;
            // Who has changed its user may not be looked into until it has become another program.
            let mut again = scene.next()?;
            Err(again.stdin(Stdio::inherit()).exec())
        }
        _ => {
            let socket = stream(scene.targets.v4, Protocol::TCP)?;
            socket.connect(&scene.targets.v4.into())?;
            println!("{}", socket.as_raw_fd());
            io::stdin().read_line(&mut String::new())?;
            std::process::exit(0)
        }
    }
}
