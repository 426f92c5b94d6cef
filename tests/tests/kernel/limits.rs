//! What is full refuses: nothing is forgotten to make room.

use std::io::Read;

use crate::{
    net::{accept, eventually},
    rig::{Limits, Rig, WORKLOAD},
};

#[test]
fn a_workload_at_its_limit_is_refused_until_one_ends() {
    let rig = Rig::with(Limits {
        connections: 3,
        ..Limits::default()
    });
    rig.tag();
    let mut agents: Vec<_> = (0..4).map(|_| rig.agent()).collect();
    let mut accepted = Vec::new();
    for agent in &mut agents[..3] {
        agent.does("tcp 192.0.2.1:443");
        let (stream, flow) = rig.accept(&rig.v4);
        flow.unwrap();
        accepted.push(stream);
    }
    assert_eq!(rig.kernel().connections(WORKLOAD).unwrap(), 3);
    assert_eq!(agents[3].ask("tcp 192.0.2.1:443"), "err EPERM");
    assert_eq!(rig.counter("quota"), 1);

    agents[0].does("close");
    accepted.remove(0);
    eventually("room", || {
        (rig.kernel().connections(WORKLOAD).unwrap() < 3).then_some(())
    });
    agents[3].does("tcp 192.0.2.1:443");
    rig.accept(&rig.v4).1.unwrap();
}

#[test]
fn a_connection_without_a_place_in_the_map_is_nobodys() {
    let rig = Rig::with(Limits {
        unclaimed: 2,
        ..Limits::default()
    });
    rig.tag();
    let mut agents: Vec<_> = (0..3).map(|_| rig.agent()).collect();
    for agent in &mut agents {
        agent.does("tcp 192.0.2.1:443");
    }
    let streams: Vec<_> = (0..3).map(|_| accept(&rig.v4).0).collect();
    let claimed = streams
        .iter()
        .filter(|stream| rig.claim(stream).is_ok())
        .count();
    assert_eq!((claimed, rig.counter("untracked")), (2, 1));
    // Nobody's connection is closed by the daemon; the client sees the end at once.
    drop(streams);
    for agent in &mut agents {
        let answer = agent.ask("receive");
        assert!(answer == "ok" || answer == "err ECONNRESET", "{answer}");
    }
    eventually("the count to fall", || {
        (rig.kernel().connections(WORKLOAD).unwrap() == 0).then_some(())
    });
}

#[test]
fn the_count_of_connections_returns_to_zero_whoever_ends_them() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    for end in ["close", "reset"] {
        agent.does("tcp 192.0.2.1:443");
        let (mut stream, flow) = rig.accept(&rig.v4);
        flow.unwrap();
        agent.does(end);
        let _ = stream.read(&mut [0]);
    }
    agent.does("tcp 192.0.2.1:443");
    drop(rig.accept(&rig.v4));
    agent.does("close");
    // Never accepted at all.
    agent.does("tcp 192.0.2.1:443");
    agent.does("reset");
    drop(accept(&rig.v4));
    eventually("the count to fall", || {
        (rig.kernel().connections(WORKLOAD).unwrap() == 0).then_some(())
    });
}
