//! The verdict table: every combination of inputs of every decision.

use super::*;

const TRANSPORTS: [Transport; 3] = [Transport::Stream, Transport::Datagram, Transport::Other];

fn tag(workload: u32, egress: bool) -> Tagged {
    Tagged {
        workload,
        cgroup: 40,
        egress,
    }
}

fn of(class: Class, workload: u32, egress: bool) -> Standing {
    Standing {
        class,
        workload,
        egress,
    }
}

fn standings() -> [Standing; 5] {
    [
        Standing::FREE,
        of(Class::Tagged, 1, true),
        of(Class::Tagged, 1, false),
        of(Class::Left, 1, false),
        of(Class::Unknown, 0, false),
    ]
}

fn connects() -> impl Iterator<Item = Connect> {
    TRANSPORTS.into_iter().flat_map(|transport| {
        (0..128_u8).map(move |bits| Connect {
            transport,
            here: bit(bits, 0),
            device: bit(bits, 1),
            listener: bit(bits, 2),
            room: bit(bits, 3),
            own: bit(bits, 4),
            inside: bit(bits, 5),
            dns: bit(bits, 6),
        })
    })
}

fn bit(bits: u8, n: u8) -> bool {
    bits & (1 << n) != 0
}

#[test]
fn standing_table() {
    let (a, b) = (tag(1, true), tag(2, true));
    // lineage, cgroup, unknown -> standing
    let table = [
        (0, Tagged::NONE, false, Standing::FREE),
        (0, Tagged::NONE, true, of(Class::Unknown, 0, false)),
        (0, a, false, of(Class::Tagged, 1, true)),
        (0, a, true, of(Class::Tagged, 1, true)),
        (1, Tagged::NONE, false, of(Class::Left, 1, false)),
        (1, Tagged::NONE, true, of(Class::Left, 1, false)),
        (1, a, false, of(Class::Tagged, 1, true)),
        (1, a, true, of(Class::Tagged, 1, true)),
        (1, b, false, of(Class::Left, 1, false)),
        (1, b, true, of(Class::Left, 1, false)),
    ];
    for (lineage, cgroup, unknown, expected) in table {
        assert_eq!(
            standing(Task {
                lineage,
                cgroup,
                unknown
            }),
            expected,
            "{lineage} {cgroup:?} {unknown}"
        );
    }
}

#[test]
fn here_table() {
    // owner, workload -> here
    let table = [
        (None, 1, false),
        (Some(HOST), 1, true),
        (Some(1), 1, true),
        (Some(2), 1, false),
    ];
    for (owner, workload, expected) in table {
        assert_eq!(here(owner, workload), expected, "{owner:?} {workload}");
    }
}

#[test]
fn connect_table() {
    for standing in standings() {
        for call in connects() {
            let expected = match (standing.class, call.here, call.device, call.transport) {
                (Class::Free, ..) => Verdict::Pass,
                (Class::Left, ..) => Verdict::Refuse(Reason::LeftCgroup),
                (Class::Unknown, ..) => Verdict::Refuse(Reason::LineageLost),
                (Class::Tagged, false, ..) => Verdict::Refuse(Reason::OtherNetns),
                (Class::Tagged, true, true, _) => Verdict::Refuse(Reason::BoundDevice),
                (Class::Tagged, true, false, Transport::Stream)
                    if call.inside && standing.egress && call.own =>
                {
                    Verdict::Pass
                }
                (Class::Tagged, true, false, Transport::Stream) => match (call.listener, call.room)
                {
                    (true, true) => Verdict::Redirect,
                    (true, false) => Verdict::Refuse(Reason::Quota),
                    (false, _) => Verdict::Refuse(Reason::NoListener),
                },
                (Class::Tagged, true, false, Transport::Datagram) => {
                    match (call.dns, call.listener) {
                        _ if !(standing.egress && call.own) => Verdict::Refuse(Reason::NoEgress),
                        (true, _) if call.inside => Verdict::Pass,
                        (true, true) => Verdict::Redirect,
                        (true, false) => Verdict::Refuse(Reason::NoListener),
                        (false, _) => Verdict::Pass,
                    }
                }
                (Class::Tagged, true, false, Transport::Other) => Verdict::Refuse(Reason::Protocol),
            };
            assert_eq!(connect(standing, call), expected, "{standing:?} {call:?}");
        }
    }
}

#[test]
fn only_free_tasks_pass_a_stream_on_to_others() {
    for standing in standings() {
        for call in connects().filter(|call| call.transport == Transport::Stream) {
            if connect(standing, call) == Verdict::Pass && standing.class != Class::Free {
                assert_eq!(standing.class, Class::Tagged);
                assert!(call.inside && call.own && standing.egress, "{call:?}");
            }
        }
    }
}

#[test]
fn send_table() {
    for standing in standings() {
        for bits in 0..64_u8 {
            let call = Send {
                inside: bit(bits, 5),
                here: bit(bits, 0),
                device: bit(bits, 1),
                dns: bit(bits, 2),
                own: bit(bits, 3),
                listener: bit(bits, 4),
            };
            let open = call.dns || call.inside;
            let expected = match (standing.class, call.here, call.device, open) {
                (Class::Free, ..) => Verdict::Pass,
                (Class::Left, ..) => Verdict::Refuse(Reason::LeftCgroup),
                (Class::Unknown, ..) => Verdict::Refuse(Reason::LineageLost),
                (Class::Tagged, false, ..) => Verdict::Refuse(Reason::OtherNetns),
                (Class::Tagged, true, true, _) => Verdict::Refuse(Reason::BoundDevice),
                (Class::Tagged, true, false, false) => Verdict::Refuse(Reason::Datagram),
                (Class::Tagged, true, false, true) => match call.listener {
                    _ if !(standing.egress && call.own) => Verdict::Refuse(Reason::NoEgress),
                    _ if call.inside => Verdict::Pass,
                    true => Verdict::Redirect,
                    false => Verdict::Refuse(Reason::NoListener),
                },
            };
            assert_eq!(send(standing, call), expected, "{standing:?} {call:?}");
        }
    }
}

#[test]
fn create_table() {
    for standing in standings() {
        for transport in TRANSPORTS {
            let expected = match (standing.class, transport) {
                (Class::Free, _) => Verdict::Pass,
                (Class::Left, _) => Verdict::Refuse(Reason::LeftCgroup),
                (Class::Unknown, _) => Verdict::Refuse(Reason::LineageLost),
                (Class::Tagged, Transport::Other) => Verdict::Refuse(Reason::Protocol),
                (Class::Tagged, _) if !standing.egress => Verdict::Refuse(Reason::NoEgress),
                (Class::Tagged, Transport::Stream | Transport::Datagram) => Verdict::Pass,
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
        for bits in 0..16_u8 {
            let call = Bind {
                exposed: bit(bits, 3),
                guarded: bit(bits, 0),
                daemon: bit(bits, 1),
                shared: bit(bits, 2),
            };
            let expected = match (call.guarded, call.daemon, standing.class) {
                (true, true, _) => Verdict::Pass,
                (true, false, _) => Verdict::Refuse(Reason::ListenerAddress),
                (false, _, Class::Left) => Verdict::Refuse(Reason::LeftCgroup),
                (false, _, Class::Unknown) => Verdict::Refuse(Reason::LineageLost),
                (false, _, Class::Tagged) if call.shared => Verdict::Refuse(Reason::SharedAddress),
                (false, _, Class::Tagged) if call.exposed => Verdict::Refuse(Reason::NotOffered),
                (false, _, Class::Free | Class::Tagged) => Verdict::Pass,
            };
            assert_eq!(bind(standing, call), expected, "{standing:?} {call:?}");
        }
    }
}

#[test]
fn packet_table() {
    for filed in [Filed::Known, Filed::Unknown, Filed::Quota, Filed::Full] {
        for bits in 0..32_u8 {
            let call = Packet {
                inbound: bit(bits, 4),
                inside: bit(bits, 3),
                tagged: bit(bits, 0),
                listener: bit(bits, 1),
                question: bit(bits, 2),
                filed,
            };
            let open = call.listener || call.inside || call.inbound;
            let expected = match (call.tagged, open, call.question, filed) {
                (true, true, ..) | (true, false, true, Filed::Known) => Verdict::Pass,
                (true, false, true, Filed::Quota) => Verdict::Refuse(Reason::Quota),
                (true, false, true, Filed::Full) => Verdict::Refuse(Reason::Untracked),
                _ => Verdict::Refuse(Reason::Packet),
            };
            assert_eq!(packet(call), expected, "{call:?}");
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
