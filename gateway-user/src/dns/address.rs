//! Addresses that no public name may lead to, in every form that denotes them.
//!
//! A name that an attacker owns can be given any address: one of the host's own network, where the gateway would dial with more reach than
//! the agent has. An address inside an address (mapped, NAT64, 6to4, Teredo) is the address that it leads to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// The whole Internet.
    Public,
    /// A network behind some router: private, shared (CGNAT), unique local.
    Private,
    /// This host or its link, metadata services, groups, and what means nothing.
    Local,
}

/// How far an address reaches; of several that it contains, the nearest.
#[must_use]
pub fn bound(address: IpAddr) -> Bound {
    match address {
        IpAddr::V4(v4) => bound_v4(v4),
        IpAddr::V6(v6) => bound_v6(v6),
    }
}

/// Whether clouds' metadata services may be behind an address: link-local ones, and the few beside them.
#[must_use]
pub fn is_metadata(address: IpAddr) -> bool {
    let canonical = address.to_canonical();
    bound(address) == Bound::Local && !canonical.is_loopback() && !canonical.is_unspecified()
}

fn bound_v4(address: Ipv4Addr) -> Bound {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // "This network", loopback, link-local with the metadata services, multicast, reserved, broadcast.
        (0 | 127, ..) | (169, 254, _) | (224..=255, ..) => Bound::Local,
        // Protocol assignments (RFC 6890) and the 6to4 relay, which lead nowhere a name should.
        (192, 0, 0) | (192, 88, 99) => Bound::Local,
        // Alibaba's metadata service stands in the shared range.
        (100, 100, 100) if address == ALIBABA => Bound::Local,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) | (198, 18..=19, _) => {
            Bound::Private
        }
        _ => Bound::Public,
    }
}

fn bound_v6(address: Ipv6Addr) -> Bound {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        bound_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // Unspecified, loopback, and what was "compatible" once: the last four bytes are an IPv4 address.
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0) => match v4(g, h) {
            _ if g == 0 && h <= 1 => Bound::Local,
            inner => inner.max(Bound::Private),
        },
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => v4(g, h),
        // IPv4-translated (RFC 2765).
        (0, 0) if (c, d, e, f) == (0, 0, 0xffff, 0) => v4(g, h),
        // NAT64: the well-known prefix, and the local one (RFC 8215) where any of its forms may stand.
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => v4(g, h),
        (0x64, 0xff9b) => Bound::Local,
        // 6to4 and Teredo, whose client address is written inverted.
        (0x2002, _) => v4(b, c),
        (0x2001, 0) => v4(c, d).max(v4(!g, !h)),
        // ISATAP writes an IPv4 address behind this.
        _ if (e & !0x0200, f) == (0, 0x5efe) => v4(g, h).max(bound_prefix(a, b)),
        _ if address == AWS_METADATA => Bound::Local,
        _ => bound_prefix(a, b),
    }
}

fn bound_prefix(a: u16, b: u16) -> Bound {
    match a {
        // Link-local, the old site-local, multicast.
        0xfe80..=0xffff => Bound::Local,
        0xfc00..=0xfdff => Bound::Private,
        // Documentation, benchmarks, discard-only.
        0x2001 if b == 0x2 => Bound::Private,
        0x100 if b == 0 => Bound::Local,
        _ => Bound::Public,
    }
}

const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
