//! The classes of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an address, by the IANA special-purpose registries (RFC 6890 and its updates).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The public internet routes to it.
    Public,
    Loopback,
    /// Used inside networks; an administrator may allow it for a host.
    Special(&'static str),
    /// Never contacted, whatever the settings.
    Never(&'static str),
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Special(name) | Self::Never(name) => name,
        })
    }
}

/// The class of an address. An IPv6 address that contains an IPv4 address has the class of that address if the system sends
/// to it, and is refused otherwise. Fails closed: only global unicast, 2000::/3, and NAT64 addresses of public IPv4
/// addresses can be public.
pub(crate) fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    use Class::{Loopback, Never, Public, Special};
    match address.octets() {
        [0, ..] => Never("this network"),
        [127, ..] => Loopback,
        [169, 254, ..] => Never("link-local, with clouds' metadata services"),
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => Never("a cloud's metadata service"),
        [224..=239, ..] => Never("multicast"),
        [255, 255, 255, 255] => Never("broadcast"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Special("private"),
        [100, 64..=127, ..] => Special("carrier-grade NAT"),
        [192, 0, 0, _] => Special("protocol assignments"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Special("documentation"),
        [192, 31, 196, _] | [192, 175, 48, _] => Special("AS112"),
        [192, 52, 193, _] => Special("AMT"),
        [192, 88, 99, _] => Special("6to4 relays"),
        [198, 18..=19, ..] => Special("benchmarking"),
        [240..=255, ..] => Special("reserved"),
        _ => Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    use Class::{Loopback, Never, Public, Special};
    let segments = address.segments();
    let embedded = Ipv4Addr::from((u32::from(segments[6]) << 16) | u32::from(segments[7]));
    // The interface identifier of ISATAP (RFC 5214): hosts send to the IPv4 address in it.
    if matches!(segments[4..6], [0x0000 | 0x0200, 0x5efe]) && class_v4(embedded) != Public {
        return Never("ISATAP of a special IPv4 address");
    }
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Loopback,
        // The system sends to the IPv4 address (RFC 4291, 2.5.5.2).
        [0, 0, 0, 0, 0, 0xffff, ..] => class_v4(embedded),
        [0, 0, 0, 0, 0, 0, ..] => Never("IPv4-compatible"),
        // NAT64 sends to the IPv4 address; the prefix is for public addresses only (RFC 6052, section 3.1).
        [0x0064, 0xff9b, 0, 0, 0, 0, ..] if class_v4(embedded) == Public => Public,
        [0x0064, 0xff9b, 0, 0, 0, 0, ..] => Never("NAT64 of a special IPv4 address"),
        // Only the network itself knows the position of the IPv4 address (RFC 8215).
        [0x0064, 0xff9b, 1, ..] => Never("local-use NAT64"),
        [0x2001, 0, ..] => Never("Teredo"),
        [0x2002, ..] => Never("6to4"),
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => Never("a cloud's metadata service"),
        [0xfe80..=0xfebf, ..] => Never("link-local"),
        [0xff00..=0xffff, ..] => Never("multicast"),
        [0xfc00..=0xfdff, ..] => Special("private"),
        [0xfec0..=0xfeff, ..] => Special("site-local"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Special("documentation"),
        [0x2001, 0x0001..=0x01ff, ..] => Special("protocol assignments"),
        [0x2620, 0x004f, 0x8000, ..] => Special("AS112"),
        [0x2000..=0x3fff, ..] => Public,
        _ => Special("not global unicast"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_special_to_the_standard_library_are_never_public(bits in any::<u32>(), wide in any::<u128>()) {
            let four = Ipv4Addr::from(bits);
            if four.is_private() || four.is_loopback() || four.is_link_local() || four.is_multicast() || four.is_unspecified()
                || four.is_broadcast() || four.is_documentation() {
                prop_assert!(class_v4(four) != Class::Public);
            }
            let six = Ipv6Addr::from(wide);
            if six.is_loopback() || six.is_multicast() || six.is_unspecified() || six.is_unique_local()
                || six.is_unicast_link_local() {
                prop_assert!(class_v6(six) != Class::Public);
            }
        }

        #[test]
        fn an_embedded_ipv4_address_is_public_only_if_it_is_public_itself(bits in any::<u32>(), prefix in 0usize..6) {
            let four = Ipv4Addr::from(bits);
            let [high, low] = [(bits >> 16) as u16, bits as u16];
            let six = match prefix {
                0 => four.to_ipv6_mapped(),
                1 => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                2 => Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                3 => Ipv6Addr::new(0x2a04, 0x4e42, 0, 0, 0, 0x5efe, high, low),
                4 => Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                _ => Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
            };
            if class_v6(six) == Class::Public {
                prop_assert_eq!(class_v4(four), Class::Public);
            }
        }
    }
}
