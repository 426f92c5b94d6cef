//! LSM programs: what only they can refuse. Kernels without BPF LSM in force cannot run these; they are part of the runs on other kernels
//! (`cargo xtask test kernel --vm ...`, which includes what is ignored here), and not of the default set. In each the same act succeeds for an
//! agent that is not governed.

use std::{
    fs,
    io::IoSlice,
    net::UdpSocket,
    os::{fd::AsRawFd, unix::net::UnixListener},
    path::PathBuf,
};

use gateway_user::kernel::{Kernel, Lsm, Options};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use socket2::{Domain, Socket, Type};

use crate::{
    agent::Agent,
    net::Upstream,
    rig::{Limits, Rig},
};

/// A rig on a kernel that takes the LSM programs: anything else fails.
fn rig() -> Rig {
    let rig = Rig::tagged();
    assert_eq!(rig.kernel().lsm(), &Lsm::Attached);
    rig
}

/// Where an agent asks for a descriptor, and gets it.
struct Giver {
    listener: UnixListener,
    path: PathBuf,
}

impl Giver {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tollgate-giver-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        Self {
            listener: UnixListener::bind(&path).unwrap(),
            path,
        }
    }

    /// Gives it, and returns how the agent fared.
    fn give(&self, agent: &mut Agent, descriptor: &impl AsRawFd) -> String {
        agent.tell(format!("take {}", self.path.display()));
        let (stream, _) = self.listener.accept().unwrap();
        sendmsg::<UnixAddr>(
            stream.as_raw_fd(),
            &[IoSlice::new(b"x")],
            &[ControlMessage::ScmRights(&[descriptor.as_raw_fd()])],
            MsgFlags::empty(),
            None,
        )
        .unwrap();
        agent.answer()
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[test]
fn the_level_is_what_the_kernel_allows() {
    let rig = Rig::new();
    let expected = tests::harness::hooks_level();
    assert_eq!(
        rig.kernel().lsm().level(),
        expected,
        "{:?}",
        rig.kernel().lsm()
    );
    let pinned = rig.pinned("links").join("tg_lsm_receive").exists();
    assert_eq!(pinned, expected == "hooks+lsm");
}

#[test]
#[ignore = "needs BPF LSM: cargo xtask test kernel --vm"]
fn a_connected_socket_cannot_be_passed_in() {
    let (upstream, giver) = (Upstream::v4(), Giver::new());
    let connected = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    connected.connect(&upstream.addr.into()).unwrap();
    let mut free = Agent::new();
    assert_eq!(giver.give(&mut free, &connected), "ok");
    free.does("send x");

    let rig = rig();
    let mut agent = rig.agent();
    assert_eq!(giver.give(&mut agent, &connected), "err EPERM");
    assert_eq!(rig.counter("passed-socket"), 1);
    let unconnected = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(giver.give(&mut agent, &unconnected), "err EPERM");
    // What is no socket of the network comes in as before.
    let file = fs::File::open("/dev/null").unwrap();
    assert_eq!(giver.give(&mut agent, &file), "ok");
    assert_eq!(rig.counter("passed-socket"), 2);
}

#[test]
#[ignore = "needs BPF LSM: cargo xtask test kernel --vm"]
fn a_socket_of_the_workload_itself_can_be_passed() {
    let rig = rig();
    let mut first = rig.agent();
    first.does("tcp 192.0.2.1:443");
    let (_held, flow) = rig.accept(&rig.v4);
    flow.unwrap();
    let (pid, socket) = (first.pid(), socket_of(first.pid()));
    let mut second = rig.agent();
    second.does(format!("take-from {pid} {socket}"));
    second.does("send x");
}

#[test]
#[ignore = "needs BPF LSM: cargo xtask test kernel --vm"]
fn nothing_is_taken_out_of_a_neighbour() {
    let upstream = Upstream::v4();
    let mut neighbour = Agent::new();
    neighbour.does(format!("tcp {}", upstream.addr));
    let (pid, socket) = (neighbour.pid(), socket_of(neighbour.pid()));
    let mut free = Agent::new();
    free.does(format!("take-from {pid} {socket}"));
    free.does("send x");
    free.does(format!("memory {pid}"));

    let rig = rig();
    let mut agent = rig.agent();
    assert_eq!(agent.ask(format!("take-from {pid} {socket}")), "err EPERM");
    let answer = agent.ask(format!("memory {pid}"));
    assert!(
        ["err EACCES", "err EPERM"].contains(&answer.as_str()),
        "{answer}"
    );
    assert!(rig.counter("neighbour") >= 1);
    let own = rig.agent();
    agent.does(format!("memory {}", own.pid()));
}

#[test]
#[ignore = "needs BPF LSM: cargo xtask test kernel --vm"]
fn a_socket_from_before_sends_nothing() {
    let upstream = Upstream::v4();
    let mut agent = Agent::new();
    agent.does(format!("tcp {}", upstream.addr));
    agent.does("send x");
    let rig = rig();
    rig.cgroup.add(agent.pid());
    assert_eq!(agent.ask("send x"), "err EPERM");
    assert_eq!(rig.counter("passed-socket"), 1);
}

#[test]
#[ignore = "needs BPF LSM: cargo xtask test kernel --vm"]
fn families_that_no_hook_sees_are_refused() {
    let mut free = Agent::new();
    for family in [PACKET, VSOCK] {
        free.does(format!("open-family {family}"));
    }
    let rig = rig();
    let mut agent = rig.agent();
    for family in [PACKET, VSOCK] {
        assert_eq!(agent.ask(format!("open-family {family}")), "err EPERM");
    }
    assert_eq!(rig.counter("family"), 2);
    for family in ["1 1", "16 3", "2 1", "10 2"] {
        agent.does(format!("open-family {family}"));
    }
    assert_eq!(rig.counter("family"), 2);
}

#[test]
#[ignore = "needs BPF LSM: cargo xtask test kernel --vm"]
fn no_governed_task_calls_bpf_or_signals_the_daemon() {
    let mut free = Agent::new();
    free.does("make-map");
    free.does(format!("signal {}", std::process::id()));
    let rig = rig();
    let mut agent = rig.agent();
    assert_eq!(agent.ask("make-map"), "err EPERM");
    assert_eq!(rig.counter("bpf"), 1);
    assert_eq!(
        agent.ask(format!("signal {}", std::process::id())),
        "err EPERM"
    );
    assert_eq!(rig.counter("neighbour"), 1);
    let own = rig.agent();
    agent.does(format!("signal {}", own.pid()));
}

#[test]
#[ignore = "needs BPF LSM: cargo xtask test kernel --vm"]
fn a_successor_takes_the_programs_over_and_down_removes_them() {
    let mut rig = rig();
    let mut agent = rig.agent();
    rig.kernel = None;
    assert_eq!(agent.ask("make-map"), "err EPERM");
    rig.kernel = Some(Kernel::open(Options::new(&rig.pins)).unwrap());
    assert_eq!(rig.kernel().lsm(), &Lsm::Attached);
    assert_eq!(agent.ask("make-map"), "err EPERM");
    rig.kernel = Some(rig.open(Limits::default()));
    rig.down();
    // A tracepoint or LSM link goes a moment after its last pin.
    crate::net::eventually("bpf to be free again", || {
        (agent.ask("make-map") == "ok").then_some(())
    });
}

/// The number of a process's only socket.
fn socket_of(pid: u32) -> i32 {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let found = entries.map(Result::unwrap).find(|entry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    });
    let name = found.unwrap().file_name();
    name.to_str().unwrap().parse().unwrap()
}

const PACKET: &str = "17 2";
const VSOCK: &str = "40 1";
