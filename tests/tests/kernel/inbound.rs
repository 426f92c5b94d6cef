//! Connections from outside to a workload's servers: answered where they are offered, reported, limited, and no way out.

use std::net::{Ipv6Addr, SocketAddr};

use gateway_user::kernel::{Entrant, Entries, Entry};

use crate::{
    agent::Agent,
    net::{deadline, eventually},
    rig::{Cgroup, Rig, WORKLOAD},
};

/// Makes an agent a server; where it is.
fn serves(server: &mut Agent, here: &str) -> SocketAddr {
    let bound = server.does(format!("bind tcp {here}"));
    server.does("listen");
    bound.parse().unwrap()
}

/// Both say something.
fn talk(client: &mut Agent, server: &mut Agent) {
    client.does("send hello");
    assert_eq!(server.does("receive"), "hello");
    server.does("send world");
    assert_eq!(client.does("receive"), "world");
}

/// The client connects to a server that is offered, and both say something.
fn enters(rig: &Rig, client: &mut Agent, server: &mut Agent) {
    let addr = serves(server, "127.0.0.1:0");
    rig.kernel().offer(WORKLOAD, &[addr], 4).unwrap();
    client.does(format!("tcp {addr}"));
    server.does("accept");
    talk(client, server);
}

/// What was counted for this reason since.
fn counted(rig: &Rig, reason: &str, before: u64) {
    eventually(reason, || (rig.counter(reason) > before).then_some(()));
}

struct Reports {
    runtime: tokio::runtime::Runtime,
    entries: Entries,
}

impl Reports {
    fn of(rig: &Rig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let entries = {
            let _inside = runtime.enter();
            rig.kernel().entries().unwrap()
        };
        Self { runtime, entries }
    }

    fn next(&mut self) -> Entrant {
        let next = async { tokio::time::timeout(deadline(), self.entries.next()).await };
        self.runtime.block_on(next).unwrap().unwrap()
    }

    fn none(&mut self) {
        let next =
            async { tokio::time::timeout(std::time::Duration::ZERO, self.entries.next()).await };
        assert!(self.runtime.block_on(next).is_err(), "a flow was reported");
    }
}

#[test]
fn a_server_is_answered_for_from_when_it_is_offered() {
    let rig = Rig::tagged();
    let mut reports = Reports::of(&rig);
    let (mut server, mut client) = (rig.agent(), Agent::new());
    let addr = serves(&mut server, "127.0.0.1:0");
    client.tell(format!("tcp {addr}"));
    counted(&rig, "not-offered", 0);
    reports.none();

    // The client's next try gets through.
    rig.kernel().offer(WORKLOAD, &[addr], 4).unwrap();
    assert_eq!(client.answer(), "ok");
    let peer = server.does("accept");
    talk(&mut client, &mut server);
    let opened = reports.next();
    assert_eq!(
        (
            opened.workload,
            opened.local,
            opened.peer.to_string(),
            opened.tgid,
            opened.event
        ),
        (WORKLOAD, addr, peer, server.pid(), Entry::Opened)
    );
    assert_eq!(rig.kernel().entrants(WORKLOAD).unwrap(), 1);

    client.does("close");
    assert_eq!(server.does("receive"), "");
    server.does("close");
    let closed = reports.next();
    assert_eq!(
        (closed.cookie, closed.event),
        (
            opened.cookie,
            Entry::Closed {
                received: 6,
                sent: 6
            }
        )
    );
    assert_eq!(rig.kernel().entrants(WORKLOAD).unwrap(), 0);
}

#[test]
fn an_offer_is_for_its_addresses_and_ports() {
    let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    // What is offered, where the server is, how it is reached, whether it answers.
    let table: [(SocketAddr, &str, &str, bool); 8] = [
        (
            "127.0.0.2:0".parse().unwrap(),
            "127.0.0.2:0",
            "127.0.0.2",
            true,
        ),
        (
            "127.0.0.2:0".parse().unwrap(),
            "0.0.0.0:0",
            "127.0.0.2",
            true,
        ),
        (
            "127.0.0.2:0".parse().unwrap(),
            "0.0.0.0:0",
            "127.0.0.3",
            false,
        ),
        ("0.0.0.0:0".parse().unwrap(), "[::]:0", "127.0.0.3", true),
        ("0.0.0.0:0".parse().unwrap(), "[::]:0", "[::1]", false),
        (any6, "[::]:0", "[::1]", true),
        (any6, "[::]:0", "127.0.0.1", true),
        (any6, "[::1]:0", "[::1]", true),
    ];
    for (mut offered, here, dial, answers) in table {
        let rig = Rig::tagged();
        let (mut server, mut client) = (rig.agent(), Agent::new());
        let port = serves(&mut server, here).port();
        let command = format!("tcp {dial}:{port}");
        // The port beside it is not enough.
        offered.set_port(port + 1);
        rig.kernel().offer(WORKLOAD, &[offered], 4).unwrap();
        client.tell(&command);
        counted(&rig, "not-offered", 0);
        offered.set_port(port);
        rig.kernel().offer(WORKLOAD, &[offered], 4).unwrap();
        if answers {
            assert_eq!(client.answer(), "ok", "{offered} {here} {dial}");
            server.does("accept");
            talk(&mut client, &mut server);
        } else {
            // Its second try is not answered either.
            counted(&rig, "not-offered", rig.counter("not-offered"));
        }
    }
}

#[test]
fn another_workloads_offer_is_not_its_own() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), Agent::new());
    let addr = serves(&mut server, "127.0.0.1:0");
    rig.kernel().offer(WORKLOAD + 1, &[addr], 4).unwrap();
    client.tell(format!("tcp {addr}"));
    counted(&rig, "not-offered", 0);
}

#[test]
fn a_workload_holds_as_many_flows_as_it_may() {
    let rig = Rig::tagged();
    let (mut server, mut first, mut second) = (rig.agent(), Agent::new(), Agent::new());
    let addr = serves(&mut server, "127.0.0.1:0");
    rig.kernel().offer(WORKLOAD, &[addr], 1).unwrap();
    first.does(format!("tcp {addr}"));
    second.tell(format!("tcp {addr}"));
    counted(&rig, "inbound-limit", 0);
    first.does("reset");
    assert_eq!(second.answer(), "ok");
    assert_eq!(rig.kernel().entrants(WORKLOAD).unwrap(), 1);
    server.does("close");
    eventually("the count to fall", || {
        (rig.kernel().entrants(WORKLOAD).unwrap() == 0).then_some(())
    });
}

#[test]
fn without_a_daemon_nobody_new_is_answered() {
    let rig = Rig::tagged();
    let (mut server, mut first, mut second) = (rig.agent(), Agent::new(), Agent::new());
    let addr = serves(&mut server, "127.0.0.1:0");
    rig.kernel().offer(WORKLOAD, &[addr], 4).unwrap();
    first.does(format!("tcp {addr}"));
    let mut daemon = Agent::new();
    daemon.does("pid");
    rig.kernel().set_daemon(daemon.pid()).unwrap();
    drop(daemon);
    second.tell(format!("tcp {addr}"));
    counted(&rig, "inbound-limit", 0);
    // What was open goes on.
    server.does("accept");
    talk(&mut first, &mut server);
}

#[test]
fn what_is_no_longer_offered_is_cut_off() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), Agent::new());
    enters(&rig, &mut client, &mut server);
    rig.kernel().offer(WORKLOAD, &[], 4).unwrap();
    server.does("send secret");
    counted(&rig, "packet", 0);
    client.does("nothing-received");
}

/// The kernel closes the socket first and then sends the reset.
#[test]
fn a_reset_by_a_server_is_heard() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), Agent::new());
    for ends in ["reset", "close"] {
        enters(&rig, &mut client, &mut server);
        // What a server has not read when it closes makes it a reset too.
        client.does("send unread");
        server.does(ends);
        let heard = client.ask("receive");
        assert_eq!(heard, "err ECONNRESET", "{ends}");
        assert_eq!(rig.kernel().entrants(WORKLOAD).unwrap(), 0);
    }
}

#[test]
fn what_stays_inside_is_not_reported() {
    let rig = Rig::tagged();
    let mut reports = Reports::of(&rig);
    let (mut server, mut client) = (rig.agent(), rig.agent());
    enters(&rig, &mut client, &mut server);
    client.does("close");
    server.does("receive");
    server.does("close");
    reports.none();
    assert_eq!(rig.kernel().entrants(WORKLOAD).unwrap(), 0);
}

#[test]
fn an_address_that_others_reach_is_bound_only_where_it_is_offered() {
    let rig = Rig::tagged();
    let (mut agent, mut control) = (rig.agent(), Agent::new());
    let wanted = ["192.0.2.9:4711", "[2001:db8::9]:4711"];
    for addr in wanted {
        control.does(format!("bind-free tcp {addr}"));
        control.does("close");
        assert_eq!(
            agent.ask(format!("bind-free tcp {addr}")),
            "err EPERM",
            "{addr}"
        );
        rig.kernel()
            .offer(WORKLOAD, &[addr.parse().unwrap()], 4)
            .unwrap();
        agent.does(format!("bind-free tcp {addr}"));
    }
    assert_eq!(rig.counter("not-offered"), 2);
    // A client's own address, and what the workload itself reaches.
    for addr in [
        "192.0.2.9:0",
        "0.0.0.0:0",
        "[::]:0",
        "127.0.0.1:0",
        "[::1]:0",
    ] {
        agent.does(format!("bind-free tcp {addr}"));
    }
}

#[test]
fn an_accepted_socket_that_dials_is_governed() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), Agent::new());
    enters(&rig, &mut client, &mut server);
    server.does("disconnect then connect 192.0.2.1:443");
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, "192.0.2.1:443".parse().unwrap());
    assert_eq!(rig.kernel().entrants(WORKLOAD).unwrap(), 0);
}

#[test]
fn dialling_from_an_offered_port_is_dialling() {
    let upstream = crate::net::Upstream::v4();
    let rig = Rig::tagged();
    let (mut server, mut client) = (rig.agent(), rig.agent());
    let addr = serves(&mut server, "127.0.0.1:0");
    rig.kernel().offer(WORKLOAD, &[addr], 4).unwrap();
    server.does("close");
    client.does(format!(
        "open tcp {addr} then from {addr} then connect {}",
        upstream.addr
    ));
    let (stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, upstream.addr);
    upstream.untouched();
    drop(stream);
    client.does("reset");

    // Both ends at once, which the kernel establishes without a listener: a socket that dials itself.
    let command = "open tcp 127.0.0.1:0 then from 127.0.0.1:18181 then connect 127.0.0.1:18181";
    let mut control = Agent::new();
    control.does(command);
    assert_eq!(control.does("peer"), control.does("local"));
    control.does("reset");
    rig.kernel()
        .offer(WORKLOAD, &["127.0.0.1:18181".parse().unwrap()], 4)
        .unwrap();
    client.does(command);
    rig.accept(&rig.v4).1.unwrap();
    assert_eq!(rig.kernel().entrants(WORKLOAD).unwrap(), 0);
}

#[test]
fn a_socket_made_before_its_process_joined_hears_nobody() {
    let rig = Rig::tagged();
    let (mut server, mut client) = (Agent::new(), Agent::new());
    let bound = server.does("bind tcp 127.0.0.1:0");
    // The control: where nobody is tagged it listens.
    let elsewhere = Cgroup::outside();
    elsewhere.add(server.pid());
    server.does("listen");
    client.does(format!("tcp {bound}"));
    server.does("accept then close");

    let bound = server.does("bind tcp 127.0.0.1:0");
    rig.cgroup.add(server.pid());
    server.does("listen");
    assert_eq!(client.ask(format!("tcp {bound}")), "err ECONNREFUSED");
    assert_eq!(rig.counter("foreign-listener"), 1);
    // Nor on a port that the kernel chooses, without a bind.
    let mut second = Agent::new();
    second.does("open tcp 127.0.0.1:0");
    rig.cgroup.add(second.pid());
    second.does("listen");
    let bound: SocketAddr = second.does("local").parse().unwrap();
    assert_eq!(
        client.ask(format!("tcp 127.0.0.1:{}", bound.port())),
        "err ECONNREFUSED"
    );
}
