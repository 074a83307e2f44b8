//! `host=range`: a host with addresses of an internal network.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::address::{Class, class};
use super::host::Host;
use crate::error::{Error, ErrorKind};

/// The largest private ranges are 10.0.0.0/8 and fc00::/7. A wider range would not restrict anything.
const WIDEST_V4: u8 = 8;
/// See [`WIDEST_V4`].
const WIDEST_V6: u8 = 7;

/// A range of addresses in CIDR notation; a single address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(IpNet);

impl AddressRange {
    pub(crate) fn of_one(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether it contains only loopback addresses.
    pub(crate) fn is_within_loopback(&self) -> bool {
        class(self.0.network()) == Class::Loopback && class(self.0.broadcast()) == Class::Loopback
    }
}

impl FromStr for AddressRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = text.parse::<IpNet>().or_else(|error| text.parse::<IpAddr>().map(IpNet::from).map_err(|_| error));
        let Ok(range) = parsed else {
            return refuse("an address range must be written as 10.20.0.0/16 or fd00:20::/32");
        };
        if range.addr() != range.network() {
            return refuse("an address range must not have bits to the right of its mask");
        }
        let widest = if range.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
        if range.prefix_len() < widest {
            return refuse(format!("an address range must not be wider than /{widest}"));
        }
        if let (Class::Never(first), Class::Never(_)) = (class(range.network()), class(range.broadcast())) {
            return refuse(format!("addresses of this range are never contacted ({first})"));
        }
        Ok(Self(range))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A host name, for any port, and a range of addresses that it may have although they are not public. A host with several
/// ranges may have addresses in each of them, and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateHost {
    /// The name in lower case, or an IP literal, in brackets for IPv6.
    pub name: String,
    /// The range of its addresses.
    pub range: AddressRange,
}

impl FromStr for PrivateHost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((name, range)) = text.split_once('=') else {
            return refuse("a pair must be written as name=range");
        };
        let (name, range) = (name.trim(), range.trim());
        let host: Host = name.parse()?;
        if !host.name().eq_ignore_ascii_case(name) {
            return refuse("the host must be written without a port");
        }
        Ok(Self { name: host.name(), range: range.parse()? })
    }
}

impl fmt::Display for PrivateHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.name, self.range)
    }
}

fn refuse<T>(rule: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Config, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs() {
        for (text, shown) in [
            ("minio.internal=10.0.0.0/8", "minio.internal=10.0.0.0/8"),
            (" MinIO.internal = 10.1.2.3 ", "minio.internal=10.1.2.3/32"),
            ("store=fd00:20::/32", "store=fd00:20::/32"),
            ("10.1.2.3=10.1.2.3/32", "10.1.2.3=10.1.2.3/32"),
            ("[fd00::1]=fc00::/7", "[fd00::1]=fc00::/7"),
            ("store=100.64.0.0/10", "store=100.64.0.0/10"),
            ("store=127.0.0.0/8", "store=127.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<PrivateHost>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_unrestricted_and_useless_ranges() {
        for (text, rule) in [
            ("minio.internal", "name=range"),
            ("minio.internal=", "written as 10.20.0.0/16"),
            ("=10.0.0.0/8", "1 to 253 characters"),
            ("minio.internal:9000=10.0.0.0/8", "without a port"),
            ("minio.internal:443=10.0.0.0/8", "without a port"),
            ("*.internal=10.0.0.0/8", "only ASCII letters"),
            ("minio.internal=10.1.2.3/8", "right of its mask"),
            ("minio.internal=0.0.0.0/0", "not be wider than /8"),
            ("minio.internal=10.0.0.0/7", "not be wider than /8"),
            ("minio.internal=::/0", "not be wider than /7"),
            ("minio.internal=169.254.0.0/16", "never contacted (link-local"),
            ("minio.internal=169.254.169.254", "never contacted (link-local"),
            ("minio.internal=0.0.0.0/8", "never contacted (this network"),
            ("minio.internal=fe80::/10", "never contacted (link-local"),
            ("minio.internal=fd00:ec2::254", "never contacted (a cloud"),
            ("minio.internal=224.0.0.0/8", "never contacted (multicast"),
            ("minio.internal=10.0.0.1-10.0.0.9", "written as 10.20.0.0/16"),
        ] {
            let error = text.parse::<PrivateHost>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().contains(rule), "{text}: {error}");
        }
    }
}
