//! `host[:port]` as in a setting, compared exactly with URLs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// The default port.
const HTTPS_PORT: u16 = 443;

/// A host: a DNS name or an IP literal, and a port (443 unless given).
///
/// Names are ASCII and stored in lower case. A host has one spelling, so that comparing is exact: refused are numbers that
/// only some programs read as an address (`127.1`, `0x7f.1`, `2130706433`), a trailing dot, userinfo, and any character but
/// letters, digits, hyphens and dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    name: Name,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Domain(String),
    Address(IpAddr),
}

impl Host {
    /// The port; 443 unless given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name without the port; an IPv6 literal is in brackets, as in a URL.
    pub fn name(&self) -> String {
        match &self.name {
            Name::Domain(domain) => domain.clone(),
            Name::Address(IpAddr::V4(address)) => address.to_string(),
            Name::Address(IpAddr::V6(address)) => format!("[{address}]"),
        }
    }

    /// The address, if the host is an IP literal.
    pub fn address(&self) -> Option<IpAddr> {
        match self.name {
            Name::Address(address) => Some(address),
            Name::Domain(_) => None,
        }
    }

    /// Whether this is `localhost` or a loopback literal: the only hosts that may be reached on a loopback address.
    pub fn is_loopback_name(&self) -> bool {
        match &self.name {
            Name::Domain(domain) => domain == "localhost",
            Name::Address(address) => address.is_loopback(),
        }
    }
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // The error does not repeat the text, which may come from an answer, or be a secret in the wrong setting.
        let refuse = |rule: &str| {
            Err(Error::new(ErrorKind::Config, format!("invalid host, expected name or name:port: {rule}")))
        };
        if !text.is_ascii() {
            return refuse(
                "only ASCII letters, digits, hyphens and dots are allowed; write other letters in the form that starts with xn--",
            );
        }
        if let Some(rest) = text.strip_prefix('[') {
            let Some((literal, port)) = rest.split_once(']') else {
                return refuse("the bracket of an IPv6 address is not closed");
            };
            let Ok(address) = literal.parse::<Ipv6Addr>() else {
                return refuse("brackets must contain an IPv6 address");
            };
            let port = match port.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if port.is_empty() => HTTPS_PORT,
                None => return refuse("only a port may follow the bracket"),
            };
            return Ok(Self { name: Name::Address(address.into()), port });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, parse_port(port)?),
            None => (text, HTTPS_PORT),
        };
        if name.is_empty() || name.len() > 253 {
            return refuse("the name must have 1 to 253 characters");
        }
        let name = name.to_ascii_lowercase();
        for label in name.split('.') {
            if label.is_empty() || label.len() > 63 {
                return refuse(
                    "each part between dots must have 1 to 63 characters, and the last character must not be a dot",
                );
            }
            if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return refuse("only ASCII letters, digits, hyphens and dots are allowed");
            }
            if label.starts_with('-') || label.ends_with('-') {
                return refuse("no part may start or end with a hyphen");
            }
        }
        // URL parsers read a name whose last part is a number as an IPv4 address, in several spellings. One is allowed.
        let last = name.rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if last.bytes().all(|byte| byte.is_ascii_digit()) || hexadecimal {
            return match name.parse::<Ipv4Addr>() {
                Ok(address) => Ok(Self { name: Name::Address(address.into()), port }),
                Err(_) => refuse("an IPv4 address must have four decimal numbers"),
            };
        }
        Ok(Self { name: Name::Domain(name), port })
    }
}

/// Decimal digits only: `u16::from_str` also accepts a plus sign and leading zeros.
fn parse_port(text: &str) -> Result<u16, Error> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if plain => Ok(port),
        _ => Err(Error::new(ErrorKind::Config, "a port must be a number from 1 to 65535")),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())?;
        if self.port == HTTPS_PORT { Ok(()) } else { write!(formatter, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_names_literals_and_ports() {
        for (text, name, port) in [
            ("api.pinterest.com", "api.pinterest.com", 443),
            ("I.PinImg.com:443", "i.pinimg.com", 443),
            ("localhost:8443", "localhost", 8443),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:65535", "[::1]", 65535),
            ("[2001:db8:0::1]", "[2001:db8::1]", 443),
        ] {
            let host: Host = text.parse().unwrap();
            assert_eq!((host.name().as_str(), host.port()), (name, port), "{text}");
        }
    }

    #[test]
    fn refuses_every_other_spelling() {
        for text in [
            "",
            ":443",
            "a:",
            "a:0",
            "a:+1",
            "a:01",
            "a:65536",
            "a:1:2",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a_b",
            "a b",
            "a/b",
            "user@a",
            "a\\b",
            "a%2eb",
            "bücher.example",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "127.0.0.01",
            "1.2.3.4.5",
            "a.1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[1.2.3.4]",
            "::1",
            "https://a",
        ] {
            assert_eq!(text.parse::<Host>().unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
    }

    #[test]
    fn only_localhost_and_loopback_literals_are_loopback_names() {
        for (text, expected) in [
            ("localhost", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("localhost.example.com", false),
            ("10.0.0.1", false),
            ("[::ffff:127.0.0.1]", false),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().is_loopback_name(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_round_trips(text in ".{0,40}") {
            if let Ok(host) = text.parse::<Host>() {
                prop_assert_eq!(host.to_string().parse::<Host>().unwrap(), host);
            }
        }

        #[test]
        fn a_host_is_spelled_as_a_url_parser_spells_it(text in "[a-z0-9.:x\\[\\]-]{1,24}") {
            if let Ok(host) = text.parse::<Host>() {
                let url = url::Url::parse(&format!("https://{host}/"));
                // The URL parser also checks punycode, so it may refuse more, but it must never read another host.
                if let Ok(url) = url {
                    prop_assert_eq!(url.host_str().map(str::to_owned), Some(host.name()));
                    prop_assert_eq!(url.port_or_known_default(), Some(host.port()));
                }
            }
        }
    }
}
