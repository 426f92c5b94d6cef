//! Decisions of the LSM programs, which exist only where the kernel loads them: sockets that were not made by the workload, families that no other
//! hook sees, and neighbours.
//!
//! In: facts about the task and about what it reaches for. Out: a [`Verdict`]. Invariants: nobody who is free is refused; nothing here permits what
//! another hook refuses; whatever is unknown is refused. The tables in the tests are complete.

use crate::verdict::{Class, Reason, Standing, Verdict};

/// Decides whether a socket of this family may be made. What may is decided on by the other hooks.
#[inline(always)]
pub fn family(standing: Standing, family: u32) -> Verdict {
    match (standing.class, family) {
        (Class::Free, _) | (_, UNIX | NETLINK | INET | INET6) => Verdict::Pass,
        _ => Verdict::Refuse(Reason::Family),
    }
}

/// Decides whether a socket may be received, connected or sent on: `made` is the workload in whose cgroup it was made, 0 for none. A socket that was
/// made elsewhere may be connected already, and its packets leave by somebody else's cgroup.
#[inline(always)]
pub fn socket(standing: Standing, family: u32, made: u32) -> Verdict {
    match (standing.class, family) {
        (Class::Free, _) | (_, UNIX | NETLINK) => Verdict::Pass,
        (_, INET | INET6) if made != 0 && made == standing.workload => Verdict::Pass,
        (_, INET | INET6) => Verdict::Refuse(Reason::PassedSocket),
        _ => Verdict::Refuse(Reason::Family),
    }
}

/// Decides whether a process may look into another: `target` is the workload the other one belongs to, 0 for none.
#[inline(always)]
pub fn inspect(standing: Standing, target: u32) -> Verdict {
    match standing.class {
        Class::Free => Verdict::Pass,
        _ if target != 0 && target == standing.workload => Verdict::Pass,
        _ => Verdict::Refuse(Reason::Neighbour),
    }
}

/// Decides whether a signal may be sent, to the daemon or to somebody else.
#[inline(always)]
pub fn signal(standing: Standing, daemon: bool) -> Verdict {
    match standing.class {
        Class::Free => Verdict::Pass,
        _ if daemon => Verdict::Refuse(Reason::Neighbour),
        _ => Verdict::Pass,
    }
}

/// Decides whether `bpf` may be called: with it a task could read and replace what governs it.
#[inline(always)]
pub fn bpf(standing: Standing) -> Verdict {
    match standing.class {
        Class::Free => Verdict::Pass,
        _ => Verdict::Refuse(Reason::Bpf),
    }
}

/// Local sockets: who is at the other end is not seen here.
pub const UNIX: u32 = 1;
/// IPv4.
pub const INET: u32 = 2;
/// IPv6.
pub const INET6: u32 = 10;
/// The kernel itself.
pub const NETLINK: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn standings() -> impl Iterator<Item = Standing> {
        [
            (Class::Free, 0),
            (Class::Tagged, 7),
            (Class::Left, 7),
            (Class::Unknown, 0),
        ]
        .into_iter()
        .map(|(class, workload)| Standing {
            class,
            workload,
            egress: class == Class::Tagged,
        })
    }

    #[test]
    fn family_table() {
        for standing in standings() {
            for number in 0..64 {
                let governed = [UNIX, INET, INET6, NETLINK].contains(&number);
                let expected = match standing.class == Class::Free || governed {
                    true => Verdict::Pass,
                    false => Verdict::Refuse(Reason::Family),
                };
                assert_eq!(family(standing, number), expected, "{standing:?} {number}");
            }
        }
    }

    #[test]
    fn socket_table() {
        for standing in standings() {
            for number in 0..64 {
                for made in [0, 7, 8] {
                    let own = matches!(standing.class, Class::Tagged | Class::Left) && made == 7;
                    let expected = match number {
                        _ if standing.class == Class::Free => Verdict::Pass,
                        UNIX | NETLINK => Verdict::Pass,
                        INET | INET6 if own => Verdict::Pass,
                        INET | INET6 => Verdict::Refuse(Reason::PassedSocket),
                        _ => Verdict::Refuse(Reason::Family),
                    };
                    assert_eq!(
                        socket(standing, number, made),
                        expected,
                        "{standing:?} {number} {made}"
                    );
                }
            }
        }
    }

    #[test]
    fn neighbour_tables() {
        for standing in standings() {
            let free = standing.class == Class::Free;
            let refused = |is: bool, reason| match is {
                true => Verdict::Refuse(reason),
                false => Verdict::Pass,
            };
            for target in [0, 7, 8] {
                let own = standing.workload == 7 && target == 7;
                let expected = refused(!free && !own, Reason::Neighbour);
                assert_eq!(inspect(standing, target), expected, "{standing:?} {target}");
            }
            for daemon in [false, true] {
                let expected = refused(!free && daemon, Reason::Neighbour);
                assert_eq!(signal(standing, daemon), expected, "{standing:?} {daemon}");
            }
            assert_eq!(bpf(standing), refused(!free, Reason::Bpf), "{standing:?}");
        }
    }
}
