//! Datagrams to port 53: they go to the workload's own listener, whoever was asked, and the kernel part knows who asks.

use std::net::SocketAddr;

use gateway_user::kernel::ClaimError;

use crate::{
    agent::Agent,
    datagram::Server,
    rig::{Limits, Rig, WORKLOAD, own_address},
};

/// A resolver of the agent's own, in a range of addresses of this run.
fn resolver() -> Server {
    Server::on((own_address(85), 53).into())
}

#[test]
fn a_connected_socket_asks_the_stage_and_sees_whom_it_asked() {
    let own = resolver();
    let to = own.addr;
    let mut control = Agent::new();
    control.does(format!("udp-connect {to} then send x"));
    own.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(format!("udp-connect {to} then send first"));
    assert_eq!(agent.does("peer"), to.to_string());
    let (text, client, asker) = rig.question(&rig.udp4);
    let asker = asker.unwrap();
    assert_eq!(text, "first");
    assert_eq!((asker.workload, asker.tgid), (WORKLOAD, agent.pid()));
    assert_eq!(asker.origin, to);
    rig.udp4.send_to(b"answer", client).unwrap();
    assert_eq!(agent.does("receive-from"), format!("answer {to}"));
    own.untouched();
}

#[test]
fn an_unconnected_socket_gets_its_answers_from_whom_it_asked() {
    let own = resolver();
    let mapped = format!("[::ffff:{}]:53", own.addr.ip());
    let v6 = "[2001:db8::53]:53";
    let mut control = Agent::new();
    control.does(format!("udp-sendto {}", own.addr));
    own.reached();
    control.does(format!("udp-sendto {mapped}"));
    own.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    for (to, socket) in [
        (own.addr.to_string(), &rig.udp4),
        (mapped, &rig.udp4),
        (v6.to_owned(), &rig.udp6),
    ] {
        agent.does(format!("udp-sendto {to}"));
        let (text, client, asker) = rig.question(socket);
        assert_eq!(text, "datagram");
        let asked: SocketAddr = to.parse().unwrap();
        assert_eq!(asker.unwrap().origin.ip(), asked.ip().to_canonical());
        socket.send_to(b"answer", client).unwrap();
        assert_eq!(agent.does("receive-from"), format!("answer {to}"));
    }
    own.untouched();
}

#[test]
fn one_socket_asks_several_resolvers_at_once() {
    let (one, other) = (resolver(), resolver());
    let all = format!("batch-to x {} {}", one.addr, other.addr);
    let mut control = Agent::new();
    control.does(format!("open udp {}", one.addr));
    assert_eq!(control.does(&all), "2");
    one.reached();
    other.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(format!("open udp {}", one.addr));
    assert_eq!(agent.does(&all), "2");
    let (_, client, first) = rig.question(&rig.udp4);
    let (_, again, second) = rig.question(&rig.udp4);
    assert_eq!(client, again);
    assert_eq!(first.unwrap().tgid, agent.pid());
    assert_eq!(second.unwrap().tgid, agent.pid());
    rig.udp4.send_to(b"answer", client).unwrap();
    // One of those that were asked, which is what resolvers look at.
    assert_eq!(agent.does("receive-from"), format!("answer {}", other.addr));
    one.untouched();
    other.untouched();
}

#[test]
fn segments_of_one_call_are_questions_of_one_process() {
    let own = resolver();
    let mut control = Agent::new();
    control.does(format!("udp-connect {} then segments 4 onetwo", own.addr));
    own.reached();
    own.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(format!("udp-connect {} then segments 4 onetwo", own.addr));
    for expected in ["onet", "wo"] {
        let (text, _, asker) = rig.question(&rig.udp4);
        assert_eq!(
            (text.as_str(), asker.unwrap().tgid),
            (expected, agent.pid())
        );
    }
    own.untouched();
}

#[test]
fn who_asks_is_known_until_its_socket_is_closed() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("udp-connect 192.0.2.1:53 then send a then send b then send c");
    let mut last = None;
    for expected in ["a", "b", "c"] {
        let (text, client, asker) = rig.question(&rig.udp4);
        assert_eq!(
            (text.as_str(), asker.unwrap().tgid),
            (expected, agent.pid())
        );
        last = Some(client);
    }
    let client = last.unwrap();
    assert_eq!(rig.kernel().connections(WORKLOAD).unwrap(), 1);
    agent.does("close");
    let gone = rig.asker(&rig.udp4, client);
    assert!(matches!(gone, Err(ClaimError::Nobody { .. })), "{gone:?}");
    assert_eq!(rig.kernel().connections(WORKLOAD).unwrap(), 0);
}

#[test]
fn sockets_that_ask_are_counted_and_further_ones_are_told() {
    let rig = Rig::with(Limits {
        connections: 2,
        ..Limits::default()
    });
    rig.tag();
    let ask = "udp-connect 192.0.2.1:53 then send x";
    let mut agents = [rig.agent(), rig.agent(), rig.agent()];
    agents[0].does(ask);
    agents[1].does(ask);
    assert_eq!(agents[2].ask(ask), "err EPERM");
    assert_eq!(rig.counter("quota"), 1);
    // Asking again takes no further place, and a closed socket gives its own back.
    agents[0].does("send y");
    agents[1].does("close");
    agents[2].does("send z");
    assert_eq!(rig.kernel().connections(WORKLOAD).unwrap(), 2);
}

#[test]
fn nothing_but_questions_reaches_the_stage() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    let listener = rig.scope().v4;
    // The listener's own address, without having asked for port 53.
    assert_eq!(agent.ask(format!("udp-sendto {listener}")), "err EPERM");
    assert_eq!(
        agent.ask(format!("udp-connect {listener} then send x")),
        "err EPERM"
    );
    // A socket that has asked, and goes elsewhere.
    let elsewhere = Server::on("127.0.0.9:0".parse().unwrap());
    agent.does("udp-connect 192.0.2.1:53 then send x");
    rig.question(&rig.udp4).2.unwrap();
    agent.does(format!("connect {}", elsewhere.addr));
    assert_eq!(agent.does("peer"), elsewhere.addr.to_string());
    assert_eq!(agent.ask("send x"), "err EPERM");
    agent.does(format!("connect {listener}"));
    assert_eq!(agent.ask("send x"), "err EPERM");
    elsewhere.untouched();
    rig.udp4.set_nonblocking(true).unwrap();
    assert!(rig.udp4.recv_from(&mut [0; 8]).is_err());
}

#[test]
fn a_dead_daemon_answers_questions_at_once() {
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    rig.abandon();
    agent.does("udp-connect 192.0.2.1:53 then send x");
    assert_eq!(agent.ask("receive"), "err ECONNREFUSED");
}

#[test]
fn port_53_by_tcp_is_tcp() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("tcp 192.0.2.1:53");
    let flow = rig.accept(&rig.v4).1.unwrap();
    assert_eq!(flow.origin, "192.0.2.1:53".parse().unwrap());
}
