//! A workload in a network namespace of its own, with a listener inside.

use std::net::SocketAddr;

use gateway_user::sys::namespace::{self, Inside};

use crate::{
    agent::Agent,
    rig::{Rig, WORKLOAD, v4, v6},
};

/// Listeners inside the namespace of a process, at the addresses that the rig has on the host.
fn inside(rig: &Rig, agent: &Agent) -> Inside {
    let scope = rig.scope();
    let endpoints: Vec<SocketAddr> = [scope.v4.into()]
        .into_iter()
        .chain(scope.v6.map(SocketAddr::from))
        .collect();
    let netns = namespace::of_process(agent.pid()).unwrap();
    namespace::listen(std::os::fd::AsFd::as_fd(&netns), &endpoints, &endpoints).unwrap()
}

/// An agent in the rig's cgroup and in a network namespace of its own.
fn agent_elsewhere(rig: &Rig) -> Agent {
    let mut agent = rig.agent();
    agent.does("new-netns");
    agent
}

#[test]
fn a_namespace_of_its_own_is_served_by_the_listener_inside() {
    let rig = Rig::tagged();
    let mut agent = agent_elsewhere(&rig);
    // The control: before the namespace is governed, nothing there is passed on.
    assert_eq!(agent.ask("tcp 192.0.2.1:443"), "err EPERM");
    let inside = inside(&rig, &agent);
    assert_eq!(agent.ask("tcp 192.0.2.1:443"), "err EPERM");

    rig.kernel()
        .govern_namespace(inside.cookie, WORKLOAD)
        .unwrap();
    for (dialled, listener) in ["192.0.2.1:443", "[2001:db8::1]:443"]
        .iter()
        .zip(&inside.listeners)
    {
        agent.does(format!("tcp {dialled}"));
        let (_stream, flow) = rig.accept(listener);
        let flow = flow.unwrap();
        assert_eq!(
            (flow.workload, flow.origin.to_string(), flow.tgid),
            (WORKLOAD, (*dialled).to_owned(), agent.pid())
        );
        assert_eq!(agent.does("peer"), *dialled);
    }

    rig.kernel().release_namespace(inside.cookie).unwrap();
    assert_eq!(agent.ask("tcp 192.0.2.1:443"), "err EPERM");
    assert_eq!(rig.counter("other-netns"), 3);
}

#[test]
fn with_nobody_listening_inside_the_refusal_is_immediate() {
    let rig = Rig::tagged();
    let mut agent = agent_elsewhere(&rig);
    let inside = inside(&rig, &agent);
    rig.kernel()
        .govern_namespace(inside.cookie, WORKLOAD)
        .unwrap();
    drop(inside);
    assert_eq!(agent.ask("tcp 192.0.2.1:443"), "err ECONNREFUSED");
    assert_eq!(agent.ask("tcp [2001:db8::1]:443"), "err ECONNREFUSED");
}

#[test]
fn another_workloads_namespace_is_refused() {
    let rig = Rig::tagged();
    let mut agent = agent_elsewhere(&rig);
    let inside = inside(&rig, &agent);
    rig.kernel()
        .govern_namespace(inside.cookie, WORKLOAD + 1)
        .unwrap();
    assert_eq!(agent.ask("tcp 192.0.2.1:443"), "err EPERM");
    assert_eq!(rig.counter("other-netns"), 1);
    // It cannot be taken over, and the host's is nobody's own.
    let kernel = rig.kernel();
    assert!(kernel.govern_namespace(inside.cookie, WORKLOAD).is_err());
    let host = gateway_user::sys::socket::netns_cookie(&rig.v4).unwrap();
    assert!(kernel.govern_namespace(host, WORKLOAD).is_err());
    kernel.release_namespace(host).unwrap();
    assert_eq!(
        kernel.namespaces().unwrap(),
        [(inside.cookie, WORKLOAD + 1)]
    );
}

#[test]
fn nobody_squats_a_listener_inside() {
    let rig = Rig::tagged();
    let (a, b) = (v4(&rig.v4), v6(&rig.v6));
    let squats = [
        format!("bind tcp {a}"),
        format!("bind tcp 0.0.0.0:{}", a.port()),
        format!("bind tcp [::]:{}", a.port()),
        format!("bind tcp {b}"),
    ];
    let mut tagged = agent_elsewhere(&rig);
    let mut untagged = Agent::new();
    untagged.does("new-netns");
    for agent in [&mut tagged, &mut untagged] {
        // The control: in a namespace that is not governed each of them succeeds.
        for squat in &squats {
            agent.does(squat);
        }
        agent.does("close");
        let inside = inside(&rig, agent);
        rig.kernel()
            .govern_namespace(inside.cookie, WORKLOAD)
            .unwrap();
        drop(inside);
        for squat in &squats {
            assert_eq!(agent.ask(squat), "err EPERM", "{squat}");
        }
    }
}

#[test]
fn a_namespace_outlives_the_daemon() {
    let mut rig = Rig::tagged();
    let mut agent = agent_elsewhere(&rig);
    let first = inside(&rig, &agent);
    rig.kernel()
        .govern_namespace(first.cookie, WORKLOAD)
        .unwrap();
    drop(first);
    rig.kernel = None;
    assert_eq!(agent.ask("tcp 192.0.2.1:443"), "err ECONNREFUSED");

    rig.kernel = Some(rig.open(crate::rig::Limits::default()));
    let again = inside(&rig, &agent);
    assert_eq!(
        rig.kernel().namespaces().unwrap(),
        [(again.cookie, WORKLOAD)]
    );
    agent.does("tcp 192.0.2.1:443");
    rig.accept(&again.listeners[0]).1.unwrap();
}

#[test]
fn the_egress_program_passes_the_listener_inside_alone() {
    let rig = Rig::new();
    let mut agent = agent_elsewhere(&rig);
    let send = "udp-connect 127.0.0.9:700 then send x";
    // The control.
    agent.does(send);
    let inside = inside(&rig, &agent);
    rig.kernel()
        .govern_namespace(inside.cookie, WORKLOAD)
        .unwrap();
    rig.tag();
    assert_eq!(agent.ask(send), "err EPERM");
    assert_eq!(rig.counter("packet"), 1);
    agent.does("tcp 192.0.2.1:443 then send x");
    rig.accept(&inside.listeners[0]).1.unwrap();
}
