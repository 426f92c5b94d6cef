//! Beside programs of others, and after hooks were detached by force.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
};

use gateway_user::{kernel, sys::bpf};
use nix::libc;

use crate::{
    net::Upstream,
    rig::{Limits, Rig},
};

/// A program of a foreign loader at connect4 of a cgroup, which answers always the same. It goes with this.
struct Foreign(OwnedFd);

impl Foreign {
    fn attach(cgroup: &Path, answer: i32) -> Self {
        // r0 = answer; exit
        let code: [u64; 2] = [0xb7 | (u64::from(answer.cast_unsigned()) << 32), 0x95];
        let license = c"GPL";
        let mut name = [0_u8; 16];
        name[..7].copy_from_slice(b"foreign");
        let mut load = Load {
            kind: CGROUP_SOCK_ADDR,
            count: 2,
            code: code.as_ptr() as u64,
            license: license.as_ptr() as u64,
            log: [0; 2],
            log_buf: 0,
            version: 0,
            flags: 0,
            name,
            ifindex: 0,
            attach_type: CONNECT4,
        };
        let program = call(PROG_LOAD, &mut load).unwrap();
        let folder = File::open(cgroup).unwrap();
        let mut create = Link {
            program: program.as_raw_fd(),
            target: folder.as_raw_fd(),
            attach_type: CONNECT4,
            flags: 0,
        };
        Self(call(LINK_CREATE, &mut create).unwrap())
    }
}

#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    code: u64,
    license: u64,
    log: [u32; 2],
    log_buf: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    attach_type: u32,
}

#[repr(C)]
struct Link {
    program: i32,
    target: i32,
    attach_type: u32,
    flags: u32,
}

fn call<T>(command: i64, attr: &mut T) -> io::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "stands for another loader")]
    // SAFETY: `attr` is a prefix of bpf_attr of the size that is passed; what it points to is alive in the caller.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<T>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    #[expect(unsafe_code, reason = "takes the descriptor the kernel has just made")]
    // SAFETY: nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) })
}

#[test]
fn programs_of_others_go_on_and_are_shown() {
    let upstream = Upstream::v4();
    let root = kernel::cgroup::mount().unwrap();
    let command = format!("tcp {}", upstream.addr);
    for answer in [1, 0] {
        // Attached before ours and after, at the workload's cgroup: each runs, and each may refuse.
        for before in [true, false] {
            let rig = Rig::new();
            if !before {
                rig.tag();
            }
            let foreign = Foreign::attach(&rig.cgroup.path, answer);
            if before {
                rig.tag();
            }
            let mut agent = rig.agent();
            let said = agent.ask(&command);
            if answer == 1 {
                assert_eq!(said, "ok");
                rig.accept(&rig.v4).1.unwrap();
            } else {
                assert_eq!(said, "err EPERM");
            }
            let shown = rig.kernel().neighbours().unwrap();
            let place = rig.kernel().place(&rig.cgroup.path).unwrap();
            assert!(
                shown.iter().any(|other| other.place == place
                    && other.hook == "connect4"
                    && other.name == "foreign"),
                "{shown:?}"
            );
            drop(foreign.0);
            agent.does(&command);
            rig.accept(&rig.v4).1.unwrap();
            assert!(
                !rig.kernel()
                    .neighbours()
                    .unwrap()
                    .iter()
                    .any(|other| other.place == place)
            );
        }
    }
    // At the root, beside ours.
    let rig = Rig::tagged();
    let foreign = Foreign::attach(&root, 1);
    let shown = rig.kernel().neighbours().unwrap();
    assert!(
        shown.iter().any(|other| other.place == Path::new("/")),
        "{shown:?}"
    );
    rig.agent().does(&command);
    rig.accept(&rig.v4).1.unwrap();
    drop(foreign.0);
    upstream.untouched();
}

#[test]
fn hooks_that_were_detached_by_force_are_attached_again() {
    let upstream = Upstream::v4();
    let rig = Rig::tagged();
    let command = format!("tcp {}", upstream.addr);
    assert_eq!(rig.kernel().mend().unwrap(), Vec::<String>::new());
    let mut agent = rig.agent();
    agent.does(&command);
    rig.accept(&rig.v4).1.unwrap();

    let detach = |name: &str| {
        let link = bpf::open_pin(&rig.pinned("links").join(name)).unwrap();
        use std::os::fd::AsFd;
        bpf::detach_link(link.as_fd()).unwrap();
    };
    let egress = std::fs::read_dir(rig.pinned("links"))
        .unwrap()
        .map(|pin| pin.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with("tg_egress-"))
        .unwrap();
    detach("tg_connect4");
    detach(&egress);
    // The control: without the hook, nothing keeps it.
    agent.does(&command);
    upstream.reached();
    std::fs::remove_file(rig.pinned("links/tg_fork")).unwrap();

    let lost = rig.kernel().mend().unwrap();
    assert!(
        lost.contains(&"tg_connect4".to_owned()) && lost.contains(&"tg_fork".to_owned()),
        "{lost:?}"
    );
    assert!(
        lost.iter().any(|name| name.starts_with("tg_egress of")),
        "{lost:?}"
    );
    assert!(rig.kernel().mend().unwrap().is_empty());
    agent.does(&command);
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
}

#[test]
fn another_instance_counts_while_its_daemon_lives() {
    let (ours, theirs) = (Rig::tagged(), Rig::tagged());
    // This process is the daemon of both.
    assert_eq!(kernel::rival(&ours.pins), None);
    let mut other = crate::agent::Agent::new();
    other.does("pid");
    theirs.kernel().set_daemon(other.pid()).unwrap();
    assert_eq!(kernel::rival(&ours.pins), Some(other.pid()));
    // To itself it is none.
    assert_eq!(kernel::rival(&theirs.pins), None);
    drop(other);
    assert_eq!(kernel::rival(&ours.pins), None, "a dead one counts");
    drop(theirs.open(Limits::default()));
}

const PROG_LOAD: i64 = 5;
const LINK_CREATE: i64 = 28;
const CGROUP_SOCK_ADDR: u32 = 18;
const CONNECT4: u32 = 10;
