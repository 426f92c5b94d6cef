//! A redirected connection is claimed by the accepted socket's cookie, once, and by nothing else.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use gateway_user::{
    kernel::{ClaimError, FlowTable},
    sys::socket,
};

use crate::{
    net::{Upstream, accept},
    rig::Rig,
};

#[test]
fn a_flow_is_claimed_once() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("tcp 192.0.2.1:443");
    let (stream, _) = accept(&rig.v4);
    let cookie = socket::cookie(&stream).unwrap();
    let claims: Vec<_> = (0..8)
        .map(|_| {
            let flows = rig.kernel().flows();
            thread::spawn(move || flows.claim(cookie))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|claim| claim.join().unwrap())
        .collect();
    assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1);
    for claim in claims.iter().filter_map(|claim| claim.as_ref().err()) {
        assert!(matches!(claim, ClaimError::Unknown { .. }), "{claim}");
    }
}

#[test]
fn a_connection_that_was_not_redirected_cannot_be_claimed() {
    let rig = Rig::tagged();
    #[expect(
        clippy::disallowed_methods,
        reason = "a client that was not redirected"
    )]
    let direct = TcpStream::connect(rig.v4.local_addr().unwrap()).unwrap();
    let (stream, claim) = rig.accept(&rig.v4);
    assert!(matches!(claim, Err(ClaimError::Unknown { .. })));
    // Nor by the client's cookie, nor by no cookie.
    for cookie in [
        socket::cookie(&direct).unwrap(),
        socket::cookie(&stream).unwrap(),
        0,
    ] {
        assert!(rig.kernel().flows().claim(cookie).is_err());
    }
}

#[test]
fn each_connection_has_its_own_origin() {
    let rig = Rig::tagged();
    let mut agents: Vec<_> = (0..4).map(|_| rig.agent()).collect();
    // Every agent connects, to a place of its own, before anything is accepted.
    for (number, agent) in agents.iter_mut().enumerate() {
        agent.does(format!(
            "tcp 192.0.2.{}:44{number} then send agent{number}",
            number + 1
        ));
    }
    for _ in 0..agents.len() {
        let (mut stream, flow) = rig.accept(&rig.v4);
        let flow = flow.unwrap();
        let mut text = [0; 6];
        stream.read_exact(&mut text).unwrap();
        let number = usize::from(text[5] - b'0');
        assert_eq!(
            flow.origin.to_string(),
            format!("192.0.2.{}:44{number}", number + 1)
        );
        assert_eq!(flow.tgid, agents[number].pid());
    }
}

#[test]
fn a_taken_4_tuple_does_not_mix_up_two_flows() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    // The client resets and takes the same port again, while the first connection still waits to be accepted.
    agent.does("open tcp 192.0.2.1:1 then from 127.0.0.1:17171 then connect 192.0.2.1:441 then send first then reset");
    agent.does(
        "open tcp 192.0.2.1:1 then from 127.0.0.1:17171 then connect 192.0.2.2:442 then send other",
    );
    let mut origins = Vec::new();
    let (_first, first) = rig.accept(&rig.v4);
    origins.push(first.map(|flow| flow.origin.to_string()));
    let (mut second_stream, second) = rig.accept(&rig.v4);
    let mut text = [0; 5];
    second_stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"other");
    assert_eq!(second.unwrap().origin.to_string(), "192.0.2.2:442");
    // The first one is gone; what can never be is that it has the second one's origin.
    if let Some(Ok(origin)) = origins.pop() {
        assert_eq!(origin, "192.0.2.1:441");
    }
}

#[test]
fn a_socket_that_ends_unclaimed_leaves_nothing_to_claim() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("tcp 192.0.2.1:443");
    let (stream, _) = accept(&rig.v4);
    let cookie = socket::cookie(&stream).unwrap();
    agent.does("reset");
    drop(stream);
    crate::net::eventually("the flow to be forgotten", || {
        (rig.kernel().connections(crate::rig::WORKLOAD).unwrap() == 0).then_some(())
    });
    assert!(rig.kernel().flows().claim(cookie).is_err());
}

#[test]
fn a_connect_that_failed_does_not_speak_for_the_next_one() {
    let upstream = Upstream::v4();
    let mut rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(format!("open tcp {}", upstream.addr));
    rig.abandon();
    assert_eq!(agent.ask("connect 192.0.2.1:443"), "err ECONNREFUSED");
    rig.revive();
    agent.does(format!("connect {}", upstream.addr));
    let (_stream, flow) = rig.accept(&rig.v4);
    assert_eq!(flow.unwrap().origin, upstream.addr);
}

#[test]
fn data_goes_both_ways() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("tcp 192.0.2.1:443 then send hello");
    let (mut stream, flow) = rig.accept(&rig.v4);
    flow.unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).unwrap();
    stream.write_all(b"world").unwrap();
    assert_eq!((&text, agent.does("receive").as_str()), (b"hello", "world"));
}
