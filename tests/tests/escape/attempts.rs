//! The doctor's attempts, way by way: each arrives without Tollgate, and not when it is governed; and where a record or a counter is
//! promised it is there.

use anyhow::ensure;

use crate::world::World;

#[test]
fn every_kind_of_connection_goes_to_the_gateway() -> anyhow::Result<()> {
    let world = World::new()?;
    let ways = [
        "tcp-v4",
        "tcp-v6",
        "tcp-mapped",
        "mptcp-v4",
        "mptcp-v6",
        "fastopen-data",
        "fastopen-connect",
        "non-blocking",
        "bind-first",
    ];
    world.closed(&ways)?;
    // Each is a session that was refused.
    let sessions = world.daemon.sessions()?;
    ensure!(sessions.len() == ways.len(), "{sessions:#?}");
    for session in sessions {
        let exchange = &session["exchanges"][0];
        ensure!(session["identity"] == "@doctor", "{session}");
        ensure!(exchange["action"] == "connect", "{session}");
        ensure!(exchange["outcome"] == "refused", "{session}");
    }
    Ok(())
}

#[test]
fn options_that_route_otherwise_lead_nowhere() -> anyhow::Result<()> {
    let world = World::new()?;
    world.closed(&["bound-device", "mark", "transparent", "reconnect"])?;
    ensure!(world.refused()?["bound-device"] == 1);
    Ok(())
}

#[test]
fn an_address_is_what_it_denotes_however_it_is_written() -> anyhow::Result<()> {
    let world = World::new()?;
    let ways = [
        "notation-short",
        "notation-hex",
        "notation-number",
        "tcp-mapped",
    ];
    let report = world.closed(&ways)?;
    ensure!(report.len() == ways.len());
    for session in world.daemon.sessions()? {
        let origin = session["origin"].as_str().unwrap_or_default();
        ensure!(origin.starts_with("127.0.0.1:"), "{session}");
    }
    Ok(())
}

#[test]
fn datagrams_of_every_kind_are_refused_and_counted() -> anyhow::Result<()> {
    let world = World::new()?;
    world.closed(&[
        "udp-v4",
        "udp-v6",
        "udp-mapped",
        "udp-connected-v4",
        "udp-connected-v6",
        "udp-many",
        "udp-segment",
        "udplite",
        "quic",
    ])?;
    let refused = world.refused()?;
    let counted = |reason: &str| refused[reason].as_u64().unwrap_or(0);
    ensure!(counted("datagram") >= 4, "{refused}");
    ensure!(counted("packet") >= 4, "{refused}");
    ensure!(counted("protocol") == 1, "{refused}");
    Ok(())
}

#[test]
fn a_name_server_of_its_own_is_never_asked() -> anyhow::Result<()> {
    World::new()?.closed(&["resolver-udp", "resolver-tcp"])?;
    Ok(())
}

#[test]
fn raw_sockets_and_bare_packets_are_refused() -> anyhow::Result<()> {
    let world = World::new()?;
    world.closed(&["raw-icmp", "raw-udp", "raw-ip", "packet"])?;
    ensure!(world.refused()?["protocol"] == 3);
    Ok(())
}

#[test]
fn io_uring_is_governed_like_any_call() -> anyhow::Result<()> {
    World::new()?.closed(&["uring-tcp", "uring-worker", "uring-udp"])?;
    Ok(())
}

#[test]
fn a_socket_that_was_made_outside_is_governed_by_who_uses_it() -> anyhow::Result<()> {
    let world = World::new()?;
    world.closed(&[
        "socket-before",
        "udp-socket-before",
        "udp-connect-before",
        "passed-socket",
    ])?;
    Ok(())
}

#[test]
fn no_process_becomes_somebody_else() -> anyhow::Result<()> {
    let world = World::new()?;
    world.closed(&[
        "thread",
        "double-fork",
        "leader-gone",
        "name",
        "memfd",
        "user-namespace",
        "cgroup-namespace",
        "child-cgroup",
    ])?;
    Ok(())
}

#[test]
fn another_cgroup_leads_nowhere() -> anyhow::Result<()> {
    let world = World::new()?;
    for row in world.closed(&["root-cgroup", "other-cgroup"])? {
        ensure!(row["governed"] == "EPERM", "{row}");
    }
    ensure!(world.refused()?["left-cgroup"].as_u64() >= Some(2));
    Ok(())
}

#[test]
fn what_is_not_closed_at_this_level_is_said_to_be_open() -> anyhow::Result<()> {
    let world = World::new()?;
    let ways = [
        "passed-connection",
        "taken-connection",
        "connection-before",
        "unix",
    ];
    for row in world.tried(&ways)?.1 {
        ensure!(row["control"] == "arrived", "{row}");
        ensure!(
            row["verdict"] == "open" && row["governed"] == "arrived",
            "{row}"
        );
    }
    Ok(())
}
