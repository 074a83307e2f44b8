//! Which addresses may be dialled.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses a host may have: a configured loopback name only loopback ones, any other host only public ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressRule {
    Loopback,
    Public,
}

impl AddressRule {
    /// Whether this address may be dialled.
    pub(crate) fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => address.is_loopback(),
            Self::Public => is_public(address),
        }
    }
}

/// No address of a host may be dialled. Travels through the HTTP library as a boxed error and is found again by type.
#[derive(Debug)]
pub(crate) struct RefusedAddress {
    pub(crate) host: String,
    pub(crate) refused: Vec<IpAddr>,
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refused.first() {
            None => write!(formatter, "{} has no address", self.host),
            Some(first) => write!(
                formatter,
                "{} has no address that may be contacted: {} refused, the first is {first}",
                self.host,
                self.refused.len()
            ),
        }
    }
}

impl std::error::Error for RefusedAddress {}

/// Whether an address is one the public internet routes to, after the IANA special-purpose registries
/// (RFC 6890 and its updates). Fails closed: of IPv6 only global unicast, 2000::/3, can be public.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)            // this network, private, loopback
            | (100, 64..=127, _)        // carrier-grade NAT; holds 100.100.100.200, a cloud's metadata
            | (169, 254, _)             // link-local; holds 169.254.169.254, other clouds' metadata
            | (172, 16..=31, _)         // private
            | (192, 0, 0)               // protocol assignments
            | (192, 0, 2)               // documentation
            | (192, 31, 196)            // AS112
            | (192, 52, 193)            // AMT
            | (192, 88, 99)             // 6to4 relays
            | (192, 168, _)             // private
            | (192, 175, 48)            // AS112
            | (198, 18..=19, _)         // benchmarking
            | (198, 51, 100)            // documentation
            | (203, 0, 113)             // documentation
            | (224..=255, _, _) // multicast, reserved, broadcast
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let global_unicast = segments[0] & 0xe000 == 0x2000;
    let special = matches!(
        segments,
        [0x2001, 0..=0x01ff, ..]        // protocol assignments: Teredo, benchmarking, ORCHID
            | [0x2001, 0x0db8, ..]      // documentation
            | [0x2002, ..]              // 6to4 carries an IPv4 address
            | [0x2620, 0x004f, 0x8000, ..] // AS112
            | [0x3fff, 0..=0x0fff, ..] // documentation
    );
    // 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64), ::ffff:0:0/96 (mapped), fc00::/7, fe80::/10 and ff00::/8 all lie
    // outside 2000::/3.
    global_unicast && !special
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn public_addresses_are_public() {
        for text in
            ["151.101.0.84", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2a04:4e42::84", "2606:4700::1"]
        {
            assert!(AddressRule::Public.permits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn special_addresses_are_not() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.192",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!AddressRule::Public.permits(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_loopback_name_has_loopback_addresses_only() {
        for (text, expected) in
            [("127.0.0.1", true), ("127.8.9.1", true), ("::1", true), ("8.8.8.8", false), ("::ffff:127.0.0.1", false)]
        {
            assert_eq!(AddressRule::Loopback.permits(text.parse().unwrap()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_standard_library_calls_special_is_never_public(bits in any::<u32>(), wide in any::<u128>()) {
            let four = Ipv4Addr::from(bits);
            if four.is_private() || four.is_loopback() || four.is_link_local() || four.is_multicast() || four.is_unspecified()
                || four.is_broadcast() || four.is_documentation() {
                prop_assert!(!is_public_v4(four));
            }
            let six = Ipv6Addr::from(wide);
            if six.is_loopback() || six.is_multicast() || six.is_unspecified() || six.to_ipv4_mapped().is_some()
                || six.is_unique_local() || six.is_unicast_link_local() {
                prop_assert!(!is_public_v6(six));
            }
        }
    }
}
