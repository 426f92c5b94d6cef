//! TCP of a tagged task arrives at its listener, with the address that was dialled, by whatever way it is dialled.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
};

use gateway_user::kernel::Scope;

use crate::{
    agent::Agent,
    net::Upstream,
    rig::{Rig, WORKLOAD, v4},
};

/// The same command reaches the upstream from an untagged agent, and the listener from a tagged one.
fn governed(
    command: &str,
    dialled: SocketAddr,
    upstream: &Upstream,
    listener: impl Fn(&Rig) -> &TcpListener,
) {
    let mut control = Agent::new();
    control.does(command);
    upstream.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(command);
    let (_stream, flow) = rig.accept(listener(&rig));
    let flow = flow.unwrap();
    assert_eq!(
        (flow.workload, flow.origin, flow.tgid, flow.uid),
        (WORKLOAD, upstream.addr, agent.pid(), 0)
    );
    assert_eq!(agent.does("peer"), dialled.to_string());
    upstream.untouched();
    // The listener's address shows nowhere else either: the next untagged connect is direct again.
    control.does(command);
    upstream.reached();
}

#[test]
fn v4_connect_goes_to_the_listener() {
    let upstream = Upstream::v4();
    governed(
        &format!("tcp {}", upstream.addr),
        upstream.addr,
        &upstream,
        |rig| &rig.v4,
    );
}

#[test]
fn v6_connect_goes_to_the_listener() {
    let upstream = Upstream::v6();
    governed(
        &format!("tcp {}", upstream.addr),
        upstream.addr,
        &upstream,
        |rig| &rig.v6,
    );
}

#[test]
fn v4_in_mapped_form_goes_to_the_v4_listener() {
    let upstream = Upstream::v4();
    let mapped: SocketAddr = format!("[::ffff:{}]:{}", upstream.addr.ip(), upstream.addr.port())
        .parse()
        .unwrap();
    governed(&format!("tcp {mapped}"), mapped, &upstream, |rig| &rig.v4);
}

#[test]
fn mptcp_over_v4_goes_to_the_listener() {
    let upstream = Upstream::v4();
    governed(
        &format!("mptcp {}", upstream.addr),
        upstream.addr,
        &upstream,
        |rig| &rig.v4,
    );
}

#[test]
fn mptcp_over_v6_goes_to_the_listener() {
    let upstream = Upstream::v6();
    governed(
        &format!("mptcp {}", upstream.addr),
        upstream.addr,
        &upstream,
        |rig| &rig.v6,
    );
}

#[test]
fn fast_open_on_connect_goes_to_the_listener() {
    let upstream = Upstream::v4();
    governed(
        &format!("fastopen-connect {} then send x", upstream.addr),
        upstream.addr,
        &upstream,
        |rig| &rig.v4,
    );
}

#[test]
fn fast_open_data_goes_to_the_listener() {
    let upstream = Upstream::v4();
    let command = format!("fastopen {}", upstream.addr);
    governed(&command, upstream.addr, &upstream, |rig| &rig.v4);

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(&command);
    let (mut stream, flow) = rig.accept(&rig.v4);
    flow.unwrap();
    let mut early = [0; 5];
    stream.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
}

#[test]
fn a_socket_made_before_the_process_joined_is_governed() {
    let upstream = Upstream::v4();
    let rig = Rig::tagged();
    let mut agent = Agent::new();
    agent.does(format!("open tcp {}", upstream.addr));
    rig.cgroup.add(agent.pid());
    // The packets of this socket belong to the cgroup that made it; the decision belongs to the task.
    agent.does(format!("connect {}", upstream.addr));
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, upstream.addr);
    upstream.untouched();
}

#[test]
fn a_child_cgroup_made_later_is_governed() {
    let upstream = Upstream::v4();
    let rig = Rig::tagged();
    let parent = rig.cgroup.child("a");
    let child = parent.child("b");
    let mut agent = Agent::new();
    child.add(agent.pid());
    agent.does(format!("tcp {}", upstream.addr));
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().workload, WORKLOAD);
    upstream.untouched();
}

#[test]
fn loopback_and_the_listener_itself_are_destinations_like_any_other() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    let listener = v4(&rig.v4);
    agent.does(format!("tcp {listener}"));
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, listener.into());
}

#[test]
fn without_a_v6_listener_v6_is_refused_at_once() {
    let upstream = Upstream::v6();
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    let command = format!("tcp {}", upstream.addr);
    agent.does(&command);
    rig.accept(&rig.v6).1.unwrap();

    rig.kernel()
        .govern(&Scope {
            v6: None,
            ..rig.scope()
        })
        .unwrap();
    assert_eq!(agent.ask(&command), "err EPERM");
    assert_eq!(rig.counter("no-listener"), 1);
    upstream.untouched();
}

#[test]
fn a_released_workload_is_refused() {
    let upstream = Upstream::v4();
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    rig.kernel().release(WORKLOAD).unwrap();
    assert_eq!(agent.ask(format!("tcp {}", upstream.addr)), "err EPERM");
    upstream.untouched();
}

#[test]
fn a_bound_device_is_refused_at_once() {
    let upstream = Upstream::v4();
    let command = format!("bind-device lo {}", upstream.addr);
    let mut control = Agent::new();
    control.does(&command);
    upstream.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    assert_eq!(agent.ask(&command), "err EPERM");
    assert_eq!(rig.counter("bound-device"), 1);
    upstream.untouched();
}

#[test]
fn another_network_namespace_is_refused() {
    // Inside the namespace the agent is server and client, so that the connection needs nobody outside.
    let inside = "new-netns then bind tcp 127.0.0.9:700 then listen";
    let command = "child tcp 127.0.0.9:700";
    let mut control = Agent::new();
    control.does(inside);
    control.does(command);

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(inside);
    assert_eq!(agent.ask(command), "err EPERM");
    assert_eq!(agent.ask("child udp-connect 127.0.0.9:700"), "err EPERM");
    assert_eq!(agent.ask("child udp-sendto 127.0.0.9:53"), "err EPERM");
    assert_eq!(rig.counter("other-netns"), 3);
}

#[test]
fn with_nobody_listening_the_refusal_is_immediate() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    let command = format!("tcp {}", upstream.addr);
    // What a dead daemon leaves: pins, and no listener.
    rig.abandon();
    let before = std::time::Instant::now();
    assert_eq!(agent.ask(&command), "err ECONNREFUSED");
    assert_eq!(agent.ask("tcp [2001:db8::1]:443"), "err ECONNREFUSED");
    assert!(before.elapsed() < tests::harness::patience(std::time::Duration::from_secs(1)));
    upstream.untouched();

    let mut control = Agent::new();
    control.does(&command);
    upstream.reached();
}

#[test]
fn a_source_route_leads_nowhere() {
    let upstream = Upstream::v4();
    let command = format!("source-route 127.0.0.77 {}", upstream.addr);
    let watched = crate::net::Wire::new("127.0.0.77");
    let mut control = Agent::new();
    // Nobody answers for the hop, but the packet is out.
    control.tell(&command);
    watched.seen();
    drop(control);

    let rig = Rig::tagged();
    let watched = crate::net::Wire::new("127.0.0.77");
    let mut agent = rig.agent();
    let answer = agent.ask(&command);
    assert!(answer.starts_with("err"), "{answer}");
    watched.silent();
    assert!(rig.counter("packet") > 0);
}
