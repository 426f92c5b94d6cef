//! TCP of a tagged task arrives at its listener, with the address that was dialled.

use crate::rig::{Agent, Rig, Upstream, WORKLOAD};

#[test]
fn v4_connect_goes_to_the_listener() {
    let upstream = Upstream::v4();
    let mut control = Agent::new();
    control.does(format!("tcp {}", upstream.addr));
    upstream.reached();

    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does(format!("tcp {}", upstream.addr));
    let (_stream, flow) = rig.accept(&rig.v4);
    let flow = flow.unwrap();
    assert_eq!(
        (flow.workload, flow.origin, flow.tgid),
        (WORKLOAD, upstream.addr, agent.pid())
    );
    assert_eq!(agent.does("peer"), upstream.addr.to_string());
    upstream.untouched();
}
