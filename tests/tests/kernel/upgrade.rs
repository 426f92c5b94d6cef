//! Another version takes over under load: the same object under another ABI number, so that the pins lie elsewhere.

use std::{fs, os::fd::AsFd, thread};

use gateway_user::{
    kernel::{ABI, Hold, Kernel, KernelError, Kind, Options},
    sys::bpf,
};

use crate::{
    lifecycle::in_kernel,
    net::{Upstream, eventually},
    rig::{Limits, Rig, WORKLOAD},
};

#[test]
fn a_new_version_takes_over_without_a_gap() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let unit = rig.cgroup.path.with_extension("unit");
    rig.kernel()
        .tag_path(&unit, WORKLOAD, Hold::ByHand)
        .unwrap();
    let (mut held, mut left, mut busy) = (rig.agent(), rig.agent(), rig.agent());
    left.does("pid");
    let outside = crate::rig::Cgroup::outside();
    outside.add(left.pid());
    held.does("tcp 192.0.2.1:443");
    let before = in_kernel(&rig.maps());

    let command = format!("tcp {}", upstream.addr);
    busy.tell(format!("repeat {COUNT} {command}"));
    let listener = rig.v4.try_clone().unwrap();
    // Somebody must accept while the test is busy opening; who claims does not matter here, but for the first one.
    let first = rig.accept(&rig.v4);
    let accepting = thread::spawn(move || {
        for _ in 1..=COUNT {
            listener.accept().unwrap();
        }
    });
    for abi in [ABI + 1, ABI + 2, ABI + 3] {
        let kernel = rig.open_as(Limits::default(), abi);
        let tags = kernel.tags().unwrap();
        assert_eq!(tags.len(), 2, "{tags:?}");
        rig.kernel = Some(kernel);
        let pinned: Vec<_> = fs::read_dir(&rig.pins)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(pinned, [format!("v{abi}").as_str()]);
        // Who had left is known, and what was not claimed yet has its origin.
        assert_eq!(left.ask(&command), "err EPERM");
        assert_eq!(held.does("peer"), "192.0.2.1:443");
    }
    assert_eq!(busy.answer(), format!("ok {COUNT}"));
    accepting.join().unwrap();
    assert_eq!(first.1.unwrap().origin.to_string(), "192.0.2.1:443");
    assert_eq!(rig.counter("redirected"), COUNT + 1);
    upstream.untouched();
    eventually("the old programs to go", || {
        (in_kernel(&rig.maps_of(ABI + 3)) == before).then_some(())
    });
    // As many as are open, none counted twice or lost: every other socket of `busy` has been closed by now.
    eventually("the count of connections", || {
        (rig.kernel().connections(WORKLOAD).unwrap() <= 2).then_some(())
    });

    rig.down();
    assert!(!rig.pins.exists());
    left.does(&command);
    upstream.reached();
}

#[test]
fn a_version_that_knew_no_questions_is_taken_over() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let before = in_kernel(&rig.maps());
    let mut agent = rig.agent();
    agent.does("tcp 192.0.2.1:443");
    let held = rig.v4.accept().unwrap().0;
    rig.kernel = None;
    // As the version before had it pinned: without what asks, and with a map that nobody uses any more.
    let (now, old) = (rig.pinned(""), rig.pins.join(format!("v{}", ABI - 1)));
    fs::rename(&now, &old).unwrap();
    for link in ["tg_sock_release", "tg_recvmsg4", "tg_recvmsg6"] {
        let pin = old.join("links").join(link);
        bpf::detach_link(bpf::open_pin(&pin).unwrap().as_fd()).unwrap();
        fs::remove_file(pin).unwrap();
    }
    fs::rename(old.join("maps/ASKERS"), old.join("maps/RESOLVERS")).unwrap();
    fs::remove_file(old.join("maps/ASKED")).unwrap();

    rig.kernel = Some(rig.open(Limits::default()));
    assert!(!old.exists());
    assert!(!now.join("maps/RESOLVERS").exists());
    assert!(rig.claim(&held).is_ok());
    assert_eq!(agent.does("peer"), "192.0.2.1:443");
    agent.does("udp-sendto 192.0.2.1:53");
    let (_, client, asker) = rig.question(&rig.udp4);
    assert_eq!(asker.unwrap().tgid, agent.pid());
    rig.udp4.send_to(b"answer", client).unwrap();
    assert_eq!(agent.does("receive-from"), "answer 192.0.2.1:53");
    agent.does(format!("tcp {}", upstream.addr));
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
    eventually("the old programs to go", || {
        (in_kernel(&rig.maps()) == before).then_some(())
    });
}

#[test]
fn an_upgrade_that_was_killed_half_way_is_finished() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let before = in_kernel(&rig.maps());
    rig.kernel = None;
    let kernel = rig.open_as(Limits::default(), ABI + 1);
    drop(kernel);
    // As if it had been killed before it unpinned what it had taken over.
    for folder in ["maps", "links"] {
        let earlier = rig.pinned(folder);
        fs::create_dir_all(&earlier).unwrap();
        for pin in fs::read_dir(rig.pins.join(format!("v{}", ABI + 1)).join(folder)).unwrap() {
            let pin = pin.unwrap();
            let object = bpf::open_pin(&pin.path()).unwrap();
            bpf::pin(object.as_fd(), &earlier.join(pin.file_name())).unwrap();
        }
    }
    let kernel = rig.open_as(Limits::default(), ABI + 1);
    rig.kernel = Some(kernel);
    assert!(!rig.pinned("").exists());
    let mut agent = rig.agent();
    agent.does(format!("tcp {}", upstream.addr));
    rig.accept(&rig.v4).1.unwrap();
    upstream.untouched();
    eventually("the old programs to go", || {
        (in_kernel(&rig.maps_of(ABI + 1)) == before).then_some(())
    });
    // The way back is refused, and changes nothing.
    let error = Kernel::open(Options::new(&rig.pins)).err().unwrap();
    assert!(matches!(error, KernelError::OtherVersion { .. }), "{error}");
    assert_eq!(error.kind(), Kind::AlreadyRunning);
    agent.does(format!("tcp {}", upstream.addr));
    rig.accept(&rig.v4).1.unwrap();
}

#[test]
fn records_that_differ_are_refused_and_stay_in_force() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    rig.kernel = None;
    // A version before the first that can be taken over.
    let (now, old) = (rig.pinned(""), rig.pins.join("v2"));
    fs::rename(&now, &old).unwrap();
    let error = Kernel::open(Options::new(&rig.pins)).err().unwrap();
    assert!(error.to_string().contains("`tollgate down`"), "{error}");
    assert!(!now.exists(), "two sets are pinned");
    rig.abandon();
    assert_eq!(
        agent.ask(format!("tcp {}", upstream.addr)),
        "err ECONNREFUSED"
    );
    gateway_user::kernel::down(&rig.pins).unwrap();
    agent.does(format!("tcp {}", upstream.addr));
    upstream.reached();
}

/// Enough connects to span three upgrades.
const COUNT: u64 = 2000;
