//! The verdict table: every combination of inputs of every decision.

use super::*;

const BOTH: [bool; 2] = [false, true];
const TRANSPORTS: [Transport; 3] = [Transport::Stream, Transport::Datagram, Transport::Other];

fn tag(workload: u32, egress: bool) -> Tagged {
    Tagged {
        workload,
        cgroup: 40,
        egress,
    }
}

fn outlaw(workload: u32, reason: Reason) -> Standing {
    Standing::Outlaw { workload, reason }
}

fn standings() -> [Standing; 5] {
    [
        Standing::Free,
        Standing::Tagged(tag(1, true)),
        Standing::Tagged(tag(1, false)),
        outlaw(1, Reason::LeftCgroup),
        outlaw(0, Reason::LineageLost),
    ]
}

#[test]
fn standing_table() {
    let (a, b) = (tag(1, true), tag(2, true));
    // lineage, cgroup, unknown -> standing
    let table = [
        (None, None, false, Standing::Free),
        (None, None, true, outlaw(0, Reason::LineageLost)),
        (None, Some(a), false, Standing::Tagged(a)),
        (None, Some(a), true, Standing::Tagged(a)),
        (Some(1), None, false, outlaw(1, Reason::LeftCgroup)),
        (Some(1), None, true, outlaw(1, Reason::LeftCgroup)),
        (Some(1), Some(a), false, Standing::Tagged(a)),
        (Some(1), Some(a), true, Standing::Tagged(a)),
        (Some(1), Some(b), false, outlaw(1, Reason::LeftCgroup)),
        (Some(1), Some(b), true, outlaw(1, Reason::LeftCgroup)),
    ];
    for (lineage, cgroup, unknown, expected) in table {
        assert_eq!(
            standing(Task {
                lineage,
                cgroup,
                unknown
            }),
            expected,
            "{lineage:?} {cgroup:?} {unknown}"
        );
    }
}

#[test]
fn connect_table() {
    for standing in standings() {
        for transport in TRANSPORTS {
            for bits in 0..16_u8 {
                let bit = |n: u8| bits & (1 << n) != 0;
                let call = Connect {
                    transport,
                    here: bit(0),
                    device: bit(1),
                    listener: bit(2),
                    room: bit(3),
                };
                let expected = match (
                    standing,
                    call.here,
                    call.device,
                    transport,
                    call.listener,
                    call.room,
                ) {
                    (Standing::Free, ..) => Verdict::Pass,
                    (Standing::Outlaw { reason, .. }, ..) => Verdict::Refuse(reason),
                    (_, false, ..) => Verdict::Refuse(Reason::OtherNetns),
                    (_, true, true, ..) => Verdict::Refuse(Reason::BoundDevice),
                    (_, true, false, Transport::Stream, true, true) => Verdict::Redirect,
                    (_, true, false, Transport::Stream, true, false) => {
                        Verdict::Refuse(Reason::Quota)
                    }
                    (_, true, false, Transport::Stream, false, _) => {
                        Verdict::Refuse(Reason::NoListener)
                    }
                    (
                        Standing::Tagged(Tagged { egress: true, .. }),
                        _,
                        _,
                        Transport::Datagram,
                        ..,
                    ) => Verdict::Pass,
                    (Standing::Tagged(_), _, _, Transport::Datagram, ..) => {
                        Verdict::Refuse(Reason::NoEgress)
                    }
                    (_, true, false, Transport::Other, ..) => Verdict::Refuse(Reason::Protocol),
                };
                assert_eq!(connect(standing, call), expected, "{standing:?} {call:?}");
            }
        }
    }
}

#[test]
fn only_free_tasks_pass_a_stream_on() {
    for standing in standings() {
        for bits in 0..16_u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            let call = Connect {
                transport: Transport::Stream,
                here: bit(0),
                device: bit(1),
                listener: bit(2),
                room: bit(3),
            };
            if connect(standing, call) == Verdict::Pass {
                assert_eq!(standing, Standing::Free);
            }
        }
    }
}

#[test]
fn send_table() {
    for standing in standings() {
        for here in BOTH {
            for device in BOTH {
                for resolver in BOTH {
                    let expected = match (standing, here, device, resolver) {
                        (Standing::Free, ..) => Verdict::Pass,
                        (Standing::Outlaw { reason, .. }, ..) => Verdict::Refuse(reason),
                        (Standing::Tagged(_), false, ..) => Verdict::Refuse(Reason::OtherNetns),
                        (Standing::Tagged(_), true, true, _) => {
                            Verdict::Refuse(Reason::BoundDevice)
                        }
                        (Standing::Tagged(_), true, false, false) => {
                            Verdict::Refuse(Reason::Datagram)
                        }
                        (Standing::Tagged(Tagged { egress: false, .. }), true, false, true) => {
                            Verdict::Refuse(Reason::NoEgress)
                        }
                        (Standing::Tagged(Tagged { egress: true, .. }), true, false, true) => {
                            Verdict::Pass
                        }
                    };
                    let call = Send {
                        here,
                        device,
                        resolver,
                    };
                    assert_eq!(send(standing, call), expected, "{standing:?} {call:?}");
                }
            }
        }
    }
}

#[test]
fn create_table() {
    for standing in standings() {
        for transport in TRANSPORTS {
            let expected = match standing {
                Standing::Free => Verdict::Pass,
                Standing::Outlaw { reason, .. } => Verdict::Refuse(reason),
                Standing::Tagged(_) if transport == Transport::Other => {
                    Verdict::Refuse(Reason::Protocol)
                }
                Standing::Tagged(_) => Verdict::Pass,
            };
            assert_eq!(
                create(standing, transport),
                expected,
                "{standing:?} {transport:?}"
            );
        }
    }
}

#[test]
fn bind_table() {
    for standing in standings() {
        for daemon in BOTH {
            let guarded = if daemon {
                Verdict::Pass
            } else {
                Verdict::Refuse(Reason::ListenerAddress)
            };
            assert_eq!(bind(standing, true, daemon), guarded, "{standing:?}");
            let open = match standing {
                Standing::Outlaw { reason, .. } => Verdict::Refuse(reason),
                _ => Verdict::Pass,
            };
            assert_eq!(bind(standing, false, daemon), open, "{standing:?}");
        }
    }
}

#[test]
fn packet_table() {
    for tagged in BOTH {
        for listener in BOTH {
            for resolver in BOTH {
                let expected = match (tagged, listener, resolver) {
                    (true, true, _) | (true, _, true) => Verdict::Pass,
                    _ => Verdict::Refuse(Reason::Packet),
                };
                assert_eq!(
                    packet(Packet {
                        tagged,
                        listener,
                        resolver
                    }),
                    expected
                );
            }
        }
    }
}

#[test]
fn transport_table() {
    for kind in 0..16 {
        for protocol in 0..512 {
            let expected = match (kind, protocol) {
                (1, 6) | (1, 262) => Transport::Stream,
                (2, 17) => Transport::Datagram,
                _ => Transport::Other,
            };
            assert_eq!(transport(kind, protocol), expected, "{kind} {protocol}");
        }
    }
}

#[test]
fn reasons_are_numbered_without_gaps() {
    for (index, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, index + 1);
        assert_eq!(Reason::from_code(*reason as u32), Some(*reason));
    }
    assert_eq!(Reason::from_code(0), None);
    assert_eq!(Reason::from_code(COUNTERS), None);
}
