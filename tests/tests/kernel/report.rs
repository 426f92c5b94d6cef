//! Refusals are counted by reason and reported with what the kernel knows.

use gateway_user::kernel::{KernelError, Reason};

use crate::rig::{Rig, WORKLOAD};

#[test]
fn refusals_are_reported_with_their_facts() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    assert_eq!(agent.ask("udp-sendto 192.0.2.7:443"), "err EPERM");
    assert_eq!(agent.ask("open-raw 3 255"), "err EPERM");
    runtime.block_on(async {
        let mut refusals = rig.kernel().events().unwrap();
        let first = tokio::time::timeout(crate::net::deadline(), refusals.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (first.reason, first.workload, first.tgid),
            (Reason::Datagram, Some(WORKLOAD), agent.pid())
        );
        assert_eq!(first.destination, Some("192.0.2.7:443".parse().unwrap()));
        assert_eq!(
            (first.comm.as_str(), first.protocol, first.uid),
            ("kernel-agent", 17, 0)
        );
        let second = tokio::time::timeout(crate::net::deadline(), refusals.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (second.reason, second.destination, second.protocol),
            (Reason::Protocol, None, 255)
        );
        assert!(second.at >= first.at);

        // One that happens while somebody waits.
        agent.tell("udp-sendto 192.0.2.8:443");
        let third = tokio::time::timeout(crate::net::deadline(), refusals.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(third.destination, Some("192.0.2.8:443".parse().unwrap()));
        assert!(matches!(rig.kernel().events(), Err(KernelError::RingTaken)));
    });
}

#[test]
fn counters_count_what_happened_and_nothing_else() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("tcp 192.0.2.1:443");
    agent.does("tcp 192.0.2.1:443");
    agent.ask("open-raw 3 255");
    let counted: Vec<_> = rig
        .kernel()
        .counters()
        .unwrap()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(counted, [("redirected", 2), ("protocol", 1)]);
}

#[test]
fn a_full_ring_loses_reports_and_no_refusal() {
    let rig = Rig::tagged();
    let mut agent = rig.agent();
    agent.does("open udp 192.0.2.7:443");
    let mut refused = 0;
    while rig.counter("event-lost") == 0 {
        agent.does("flood 192.0.2.7:443 1000");
        refused += 1000;
        assert!(refused < 100_000);
    }
    assert_eq!(rig.counter("datagram"), refused);
}
