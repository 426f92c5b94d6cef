//! Addresses in the form the kernel part compares: 16 bytes in network order, IPv4 mapped into IPv6.
//!
//! In: host types and the words of BPF contexts. Out: one comparable form, so that `10.0.0.1` and `::ffff:10.0.0.1` are equal.
//! Invariant: the only endian conversions of the kernel part are here.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

record! {
    /// An IP address: four words, each in network byte order.
    Addr: 16 {
        /// The words as BPF contexts hold them.
        words: [u32; 4],
    }
}

record! {
    /// An address and a port.
    Endpoint: 20 {
        /// The address.
        addr: Addr,
        /// The port in network byte order.
        port: u16,
        /// Zero.
        pad: u16,
    }
}

impl Addr {
    /// The wildcard address of IPv6, which also stands for "no address".
    pub const UNSPECIFIED: Self = Self { words: [0; 4] };

    /// 127.0.0.1.
    pub const LOOPBACK_V4: Self = Self::from_v4((FIRST_V4 + 1).to_be());

    /// ::1.
    pub const LOOPBACK_V6: Self = Self {
        words: [0, 0, 0, ONE],
    };

    /// An IPv4 address from a word in network byte order.
    #[inline(always)]
    pub const fn from_v4(word: u32) -> Self {
        Self {
            words: [0, 0, MAPPED, word],
        }
    }

    /// Is this an IPv4 address?
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        self.words[0] == 0 && self.words[1] == 0 && self.words[2] == MAPPED
    }

    /// Does this address lead to one socket of this host and nowhere else? The ends of 127.0.0.0/8 are broadcast addresses, which
    /// lead to many.
    #[inline(always)]
    pub const fn is_loopback(&self) -> bool {
        if self.is_v4() {
            let host = u32::from_be(self.words[3]);
            host > FIRST_V4 && host < LAST_V4
        } else {
            let [a, b, c, d] = self.words;
            a | b | c == 0 && d == ONE
        }
    }

    /// Where the kernel goes when this address is dialled: the wildcard stands for the loopback address of its family.
    #[inline(always)]
    pub const fn dialled(self) -> Self {
        if self.is_v4() && self.words[3] == 0 {
            Self::LOOPBACK_V4
        } else if self.words[0] | self.words[1] | self.words[2] | self.words[3] == 0 {
            Self::LOOPBACK_V6
        } else {
            self
        }
    }

    /// The address as the standard library knows it; IPv4 in its own form.
    pub fn ip(&self) -> IpAddr {
        let mut octets = [0; 16];
        crate::Field::put(self, &mut octets);
        Ipv6Addr::from(octets).to_canonical()
    }
}

impl Endpoint {
    /// No endpoint: what stands where a listener of that family does not exist.
    pub const NONE: Self = Self {
        addr: Addr::UNSPECIFIED,
        port: 0,
        pad: 0,
    };

    /// From an address and a port in network byte order.
    #[inline(always)]
    pub const fn new(addr: Addr, port: u16) -> Self {
        Self { addr, port, pad: 0 }
    }

    /// Is there an endpoint here?
    #[inline(always)]
    pub const fn exists(&self) -> bool {
        self.port != 0
    }

    /// The endpoint as the standard library knows it.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.addr.ip(), u16::from_be(self.port))
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        let octets = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        crate::Field::take(&octets)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self::new(addr.ip().into(), addr.port().to_be())
    }
}

impl From<SocketAddrV4> for Endpoint {
    fn from(addr: SocketAddrV4) -> Self {
        SocketAddr::V4(addr).into()
    }
}

impl From<SocketAddrV6> for Endpoint {
    fn from(addr: SocketAddrV6) -> Self {
        SocketAddr::V6(addr).into()
    }
}

/// The wildcard addresses a socket can be bound to: either one also takes IPv4 connections.
pub const WILDCARDS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

const MAPPED: u32 = 0xffff_u32.to_be();
const ONE: u32 = 1_u32.to_be();
const FIRST_V4: u32 = 0x7f00_0000;
const LAST_V4: u32 = 0x7fff_ffff;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn mapped_and_plain_v4_are_the_same_address() {
        let plain: SocketAddr = "10.1.2.3:443".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:10.1.2.3]:443".parse().unwrap();
        assert_eq!(Endpoint::from(plain), Endpoint::from(mapped));
        assert!(Endpoint::from(mapped).addr.is_v4());
        assert_eq!(Endpoint::from(mapped).socket_addr(), plain);
    }

    #[test]
    fn words_lie_in_network_order() {
        let endpoint = Endpoint::from("10.1.2.3:258".parse::<SocketAddr>().unwrap());
        let bytes = endpoint.to_bytes();
        assert_eq!(
            bytes[..16],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]
        );
        assert_eq!(bytes[16..], [1, 2, 0, 0]);
        assert_eq!(Endpoint::from_bytes(&bytes), endpoint);
    }

    #[test]
    fn loopback_is_one_socket_of_this_host() {
        for (ip, loopback) in [
            ("127.0.0.0", false),
            ("127.0.0.1", true),
            ("127.84.3.2", true),
            ("127.255.255.254", true),
            ("127.255.255.255", false),
            ("126.255.255.255", false),
            ("128.0.0.0", false),
            ("0.0.0.0", false),
            ("10.0.0.127", false),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("::", false),
            ("::2", false),
            ("fe80::1", false),
            ("1::1", false),
        ] {
            let addr = Addr::from(ip.parse::<IpAddr>().unwrap());
            assert_eq!(addr.is_loopback(), loopback, "{ip}");
        }
    }

    #[test]
    fn the_wildcard_dials_the_loopback_of_its_family() {
        for (ip, dialled) in [
            ("0.0.0.0", "127.0.0.1"),
            ("::ffff:0.0.0.0", "127.0.0.1"),
            ("::", "::1"),
            ("10.0.0.1", "10.0.0.1"),
            ("2001:db8::", "2001:db8::"),
        ] {
            let addr = Addr::from(ip.parse::<IpAddr>().unwrap());
            assert_eq!(
                addr.dialled(),
                Addr::from(dialled.parse::<IpAddr>().unwrap()),
                "{ip}"
            );
        }
    }

    #[test]
    fn v6_survives() {
        let addr: SocketAddr = "[2001:db8::7]:80".parse().unwrap();
        assert!(!Endpoint::from(addr).addr.is_v4());
        assert_eq!(Endpoint::from(addr).socket_addr(), addr);
        assert!(!Endpoint::NONE.exists());
    }
}
