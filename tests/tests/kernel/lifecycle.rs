//! Daemons come and go; what is governed stays governed until it is taken down, and then nothing is left.

use std::os::unix::fs::PermissionsExt;

use aya::programs;
use gateway_user::kernel::{self, Kernel, KernelError, Kind, Options};

use crate::{
    agent::Agent,
    net::{Upstream, eventually},
    rig::{Limits, Rig, WORKLOAD},
};

/// Programs and links in the kernel that use the maps of this rig.
pub fn in_kernel(maps: &[u32]) -> (usize, usize) {
    let programs: Vec<u32> = programs::loaded_programs()
        .flatten()
        .filter(|program| {
            program
                .map_ids()
                .ok()
                .flatten()
                .is_some_and(|used| used.iter().any(|map| maps.contains(map)))
        })
        .map(|program| program.id())
        .collect();
    let links = programs::loaded_links()
        .flatten()
        .filter(|link| programs.contains(&link.program_id()))
        .count();
    (programs.len(), links)
}

#[test]
fn a_successor_takes_over_without_a_gap() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    let command = format!("tcp {}", upstream.addr);
    agent.tell(format!("repeat {COUNT} {command}"));
    let listener = rig.v4.try_clone().unwrap();
    // Somebody must accept while the test is busy opening; who claims does not matter here.
    let accepting = std::thread::spawn(move || {
        for _ in 0..COUNT {
            listener.accept().unwrap();
        }
    });
    for _ in 0..3 {
        let kernel = rig.open(Limits::default());
        assert_eq!(
            kernel.tagged().unwrap(),
            [(rig.cgroup.path.clone(), WORKLOAD)]
        );
        rig.kernel = Some(kernel);
    }
    let answer = agent.answer();
    accepting.join().unwrap();
    assert_eq!(answer, format!("ok {COUNT}"));
    assert_eq!(rig.counter("redirected"), COUNT);
    upstream.untouched();
}

#[test]
fn a_successor_replaces_every_program() {
    let mut rig = Rig::tagged();
    let maps = rig.maps();
    let (programs, links) = in_kernel(&maps);
    assert_eq!((programs, links), (20, 20));
    let kernel = rig.open(Limits::default());
    rig.kernel = Some(kernel);
    eventually("the old programs to go", || {
        (in_kernel(&maps) == (20, 20)).then_some(())
    });
}

#[test]
fn a_flow_outlives_the_daemon_that_did_not_claim_it() {
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("tcp 192.0.2.1:443");
    let kernel = rig.open(Limits::default());
    rig.kernel = Some(kernel);
    assert_eq!(
        rig.accept(&rig.v4).1.unwrap().origin.to_string(),
        "192.0.2.1:443"
    );
    assert_eq!(agent.does("peer"), "192.0.2.1:443");
}

#[test]
fn two_daemons_do_not_share_pins() {
    let rig = Rig::tagged();
    let other = Agent::new();
    rig.kernel().set_daemon(other.pid()).unwrap();
    let error = Kernel::open(Options::new(&rig.pins)).err().unwrap();
    assert_eq!(error.kind(), Kind::AlreadyRunning, "{error}");
    assert!(
        error.to_string().contains(&other.pid().to_string()),
        "{error}"
    );
    rig.agent().does("tcp 192.0.2.1:443");
    drop(other);
    drop(rig.open(Limits::default()));
}

#[test]
fn two_instances_coexist() {
    let upstream = Upstream::v4();
    let (a, b) = (Rig::tagged(), Rig::tagged());
    let (mut in_a, mut in_b) = (a.agent(), b.agent());
    for (rig, agent) in [(&a, &mut in_a), (&b, &mut in_b)] {
        agent.does(format!("tcp {}", upstream.addr));
        let flow = rig.accept(&rig.v4).1.unwrap();
        assert_eq!((flow.origin, flow.tgid), (upstream.addr, agent.pid()));
    }
    drop(a);
    in_b.does(format!("tcp {}", upstream.addr));
    b.accept(&b.v4).1.unwrap();
    upstream.untouched();
}

#[test]
fn pins_are_private() {
    let rig = Rig::tagged();
    for folder in ["", "maps", "links"] {
        let path = rig.pinned(folder);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn down_leaves_nothing() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    let command = format!("tcp {}", upstream.addr);
    agent.does(&command);
    upstream.untouched();
    let maps = rig.maps();
    rig.down();
    assert!(!rig.pins.exists());
    eventually("programs and links to go", || {
        (in_kernel(&maps) == (0, 0)).then_some(())
    });
    agent.does(&command);
    upstream.reached();
    kernel::down(&rig.pins).unwrap();
}

#[test]
fn down_works_after_a_crash() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    let maps = rig.maps();
    rig.abandon();
    rig.kernel = None;
    assert_eq!(
        agent.ask(format!("tcp {}", upstream.addr)),
        "err ECONNREFUSED"
    );
    kernel::down(&rig.pins).unwrap();
    eventually("programs and links to go", || {
        (in_kernel(&maps) == (0, 0)).then_some(())
    });
    agent.does(format!("tcp {}", upstream.addr));
    upstream.reached();
}

#[test]
fn a_folder_elsewhere_gets_a_bpffs_of_its_own() {
    let base = std::env::temp_dir().join(format!("tollgate-test-{}", std::process::id()));
    let pins = base.join("deep/pins");
    let kernel = Kernel::open(Options::new(&pins)).unwrap();
    assert!(pins.join(format!("v{}/maps", kernel::ABI)).is_dir());
    kernel.down().unwrap();
    assert!(!pins.exists());
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn other_versions_are_left_alone() {
    let rig = Rig::new();
    let foreign = rig.pins.join("v999");
    std::fs::create_dir(&foreign).unwrap();
    let error = Kernel::open(Options::new(&rig.pins)).err().unwrap();
    assert!(matches!(error, KernelError::OtherVersion { .. }), "{error}");
    kernel::down(&rig.pins).unwrap();
    assert!(foreign.is_dir());
    std::fs::remove_dir(&foreign).unwrap();
}

#[test]
fn without_privilege_nothing_is_touched() {
    // The test runs itself once more, without capabilities.
    if let Some(pins) = std::env::var_os(UNPRIVILEGED) {
        let error = Kernel::open(Options::new(pins)).err().unwrap();
        assert_eq!(error.kind(), Kind::Privilege);
        assert!(
            error.to_string().contains("missing CAP_BPF, CAP_NET_ADMIN"),
            "{error}"
        );
        return;
    }
    let pins = format!("/sys/fs/bpf/tollgate-test-{}-0", std::process::id());
    let status = std::process::Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::without_privilege_nothing_is_touched"])
        .env(UNPRIVILEGED, &pins)
        .status()
        .unwrap();
    assert!(status.success());
    assert!(!std::path::Path::new(&pins).exists());
}

/// Enough connects to span three takeovers.
const COUNT: u64 = 2000;
const UNPRIVILEGED: &str = "KERNEL_SUITE_UNPRIVILEGED";
