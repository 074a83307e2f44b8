//! Which addresses a host may have.

use std::fmt;
use std::net::IpAddr;

use super::address::{Class, class};
use super::private_host::{AddressRange, PrivateHost};

/// Which addresses a host may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressRule {
    /// A loopback name: loopback addresses only.
    Loopback,
    /// Any other host: addresses that the public internet routes to.
    Public,
    /// A host with address ranges set by the administrator: addresses in these ranges, public or not.
    Within(Vec<AddressRange>),
    /// The proxy: any address but those that are never contacted.
    Proxy,
}

impl AddressRule {
    /// Whether this address may be contacted.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        let class = class(address);
        match self {
            Self::Loopback => class == Class::Loopback,
            Self::Public => class == Class::Public,
            Self::Within(ranges) => {
                let address = address.to_canonical();
                let opened = |range: &AddressRange| {
                    range.contains(address) && (class != Class::Loopback || range.is_within_loopback())
                };
                !matches!(class, Class::Never(_)) && ranges.iter().any(opened)
            }
            Self::Proxy => !matches!(class, Class::Never(_)),
        }
    }
}

/// No address of a host may be contacted. Passes through the HTTP library as a boxed error and is found again by its type.
#[derive(Debug)]
pub(crate) struct RefusedAddress {
    pub(crate) host: String,
    pub(crate) refused: Vec<IpAddr>,
}

impl RefusedAddress {
    /// The host and its first address that an administrator may allow, if any.
    pub(crate) fn private_host(&self) -> Option<PrivateHost> {
        let usual = self.refused.iter().find(|&&address| !matches!(class(address), Class::Never(_)))?;
        Some(PrivateHost { name: self.host.clone(), range: AddressRange::of_one(*usual) })
    }
}

impl fmt::Display for RefusedAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refused.first() {
            None => write!(formatter, "{} has no address", self.host),
            Some(first) => write!(
                formatter,
                "{} has no address that may be contacted: {} refused, the first is {first} ({})",
                self.host,
                self.refused.len(),
                class(*first)
            ),
        }
    }
}

impl std::error::Error for RefusedAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(ranges: &[&str]) -> AddressRule {
        AddressRule::Within(ranges.iter().map(|range| range.parse().unwrap()).collect())
    }

    /// For each kind of address: whether any host may have it, and whether a host with the widest ranges may.
    #[test]
    fn each_class_is_contacted_or_not() {
        let widest: Vec<String> =
            (1..=255_u8).filter(|&first| first != 127).map(|first| format!("{first}.0.0.0/8")).collect();
        let widest = widest.iter().filter_map(|range| range.parse().ok());
        let widest_v6 =
            ["fc00::/7", "fe00::/7", "2000::/7", "2600::/7", "2a00::/7", "3e00::/7", "64::/16", "::/8", "100::/8"];
        let widest = widest.chain(widest_v6.iter().filter_map(|range| range.parse().ok())).collect();
        let opened = AddressRule::Within(widest);
        for (text, public, private) in [
            ("151.101.0.84", true, true),
            ("8.8.8.8", true, true),
            ("100.63.255.255", true, true),
            ("100.128.0.0", true, true),
            ("172.32.0.1", true, true),
            ("2a04:4e42::84", true, true),
            ("2606:4700::1", true, true),
            // IPv4-mapped: as the IPv4 address inside.
            ("::ffff:8.8.8.8", true, true),
            ("::ffff:10.1.2.3", false, true),
            ("::ffff:127.0.0.1", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("::ffff:0.0.0.0", false, false),
            // NAT64: only to public IPv4 addresses.
            ("64:ff9b::808:808", true, true),
            ("64:ff9b::9765:54", true, true),
            ("64:ff9b::7f00:1", false, false),
            ("64:ff9b::a01:203", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("64:ff9b::6464:64c8", false, false),
            ("64:ff9b::", false, false),
            ("64:ff9b::1:808:808", false, true),
            ("64:ff9b:1::808:808", false, false),
            ("64:ff9b:1:808:8:800::", false, false),
            // The others that carry an IPv4 address.
            ("::127.0.0.1", false, false),
            ("::8.8.8.8", false, false),
            ("2002:808:808::1", false, false),
            ("2002:7f00:1::1", false, false),
            ("2002:a9fe:a9fe::1", false, false),
            ("2001::1", false, false),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false, false),
            ("2a04:4e42::5efe:10.0.0.1", false, false),
            ("2a04:4e42::200:5efe:169.254.169.254", false, false),
            ("2a04:4e42::200:5efe:8.8.8.8", true, true),
            ("fd00:1::5efe:127.0.0.1", false, false),
            // Inside networks.
            ("10.1.2.3", false, true),
            ("172.16.0.1", false, true),
            ("172.31.255.255", false, true),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("192.0.0.1", false, true),
            ("198.18.0.1", false, true),
            ("203.0.113.9", false, true),
            ("240.0.0.1", false, true),
            ("fc00::1", false, true),
            ("fd12:3456::1", false, true),
            ("fec0::1", false, true),
            ("2001:db8::1", false, true),
            ("3fff::1", false, true),
            ("100::1", false, true),
            // Never.
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("127.0.0.1", false, false),
            ("100.100.100.200", false, false),
            ("168.63.129.16", false, false),
            ("169.254.0.1", false, false),
            ("169.254.169.254", false, false),
            ("169.254.170.2", false, false),
            ("192.0.0.192", false, false),
            ("224.0.0.1", false, false),
            ("239.255.255.250", false, false),
            ("255.255.255.255", false, false),
            ("::", false, false),
            ("::1", false, false),
            ("fd00:ec2::254", false, false),
            ("fd20:ce::254", false, false),
            ("fe80::1", false, false),
            ("febf::1", false, false),
            ("ff02::1", false, false),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(AddressRule::Public.permits(address), public, "{text} is public");
            assert_eq!(opened.permits(address), private, "{text} may be opened");
        }
    }

    #[test]
    fn a_range_permits_its_addresses() {
        for (range, text, expected) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "8.8.8.8", false),
            ("10.0.0.0/8", "192.168.0.1", false),
            ("10.0.0.0/8", "fd00::1", false),
            ("10.20.30.40", "10.20.30.40", true),
            ("10.20.30.40", "10.20.30.41", false),
            ("100.64.0.0/10", "100.100.100.200", false),
            ("100.64.0.0/10", "100.100.100.201", true),
            ("fd00::/8", "fd00:ec2::254", false),
            ("fd00::/8", "fd00::1", true),
            ("127.0.0.0/8", "127.0.0.1", true),
            ("127.0.0.2/32", "127.0.0.1", false),
            ("::1", "::1", true),
            ("8.8.8.0/24", "8.8.8.8", true),
        ] {
            assert_eq!(within(&[range]).permits(text.parse().unwrap()), expected, "{range} {text}");
        }
        assert!(within(&["10.0.0.0/8", "fd00:1::/32"]).permits("fd00:1::9".parse().unwrap()));
    }

    #[test]
    fn a_loopback_name_has_loopback_addresses_only() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("8.8.8.8", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(AddressRule::Loopback.permits(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_proxy_may_have_any_address_but_those_never_contacted() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("10.0.0.1", true),
            ("8.8.8.8", true),
            ("fd00::1", true),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
        ] {
            assert_eq!(AddressRule::Proxy.permits(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_kind_of_address() {
        let refused = vec!["10.1.2.3".parse().unwrap(), "::1".parse().unwrap()];
        let refusal = RefusedAddress { host: "minio.internal".to_owned(), refused };
        assert_eq!(
            refusal.to_string(),
            "minio.internal has no address that may be contacted: 2 refused, the first is 10.1.2.3 (private)"
        );
        assert_eq!(refusal.private_host().unwrap().to_string(), "minio.internal=10.1.2.3/32");
        let refused = vec!["169.254.169.254".parse().unwrap()];
        assert_eq!(RefusedAddress { host: "minio.internal".to_owned(), refused }.private_host(), None);
    }
}
