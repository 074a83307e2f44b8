//! The list of embedders that work is spread over.

use std::fmt;
use std::str::FromStr;

/// The port of an embedder that serves other machines.
pub const DEFAULT_PORT: u16 = 7433;

/// The most entries of a list.
const MOST: usize = 64;

/// Where an embedder runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On this machine, as a process of the program that spreads the work.
    Local,
    /// At a name or address of a machine, and a port. A name with several addresses is several embedders.
    Remote {
        /// A name, or an IP address without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Different places, at least one: `local, gpu1.internal:7433, [2001:db8::7]:7433`. The port may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<Place>);

impl Places {
    /// Whether the only place is [`Place::Local`].
    pub fn are_local(&self) -> bool {
        self.0 == [Place::Local]
    }

    /// Whether one of the places is [`Place::Local`].
    pub fn include_local(&self) -> bool {
        self.0.contains(&Place::Local)
    }
}

impl std::ops::Deref for Places {
    type Target = [Place];

    fn deref(&self) -> &[Place] {
        &self.0
    }
}

impl FromStr for Places {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut places = Vec::new();
        for entry in list.split(',').map(str::trim) {
            let place: Place = entry.parse()?;
            if places.contains(&place) {
                return Err(format!("\"{entry}\" is listed twice"));
            }
            places.push(place);
        }
        if places.len() > MOST {
            return Err(format!("there are {} entries, more than the limit of {MOST}", places.len()));
        }
        Ok(Self(places))
    }
}

impl fmt::Display for Places {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&names.join(", "))
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(entry: &str) -> Result<Self, String> {
        if entry.eq_ignore_ascii_case("local") {
            return Ok(Self::Local);
        }
        let wrong = |what: &str| Err(format!("\"{}\" {what}", entry.escape_debug()));
        let (host, port) = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some("?"))),
            // More than one colon is an address of IP version 6.
            None => match entry.split_once(':').filter(|(_, port)| !port.contains(':')) {
                Some((host, port)) => (host, Some(port)),
                None => (entry, None),
            },
        };
        let port = match port.map_or(Ok(DEFAULT_PORT), str::parse) {
            Ok(port) if port > 0 => port,
            _ => return wrong("has no valid port"),
        };
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        let is_label = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(inner) && !label.starts_with('-')
        };
        let is_name = host.len() <= 253 && host.split('.').all(is_label);
        if !is_address && (!is_name || host.contains(':')) {
            return wrong("is neither \"local\" nor the name or address of a machine");
        }
        Ok(Self::Remote { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => formatter.write_str("local"),
            Self::Remote { host, port } if host.contains(':') => write!(formatter, "[{host}]:{port}"),
            Self::Remote { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_shown() {
        for (list, shown) in [
            ("local", "local"),
            ("LOCAL ,gpu1.internal:7433", "local, gpu1.internal:7433"),
            ("GPU1", "gpu1:7433"),
            ("10.0.0.7:80,[2001:db8::7]:81, 2001:db8::8", "10.0.0.7:80, [2001:db8::7]:81, [2001:db8::8]:7433"),
            ("[::1]", "[::1]:7433"),
        ] {
            let places: Places = list.parse().unwrap();
            assert_eq!(places.to_string(), shown);
            assert_eq!(shown.parse(), Ok(places));
        }
    }

    #[test]
    fn others_are_refused() {
        for list in [
            "",
            ",",
            "local,",
            "local, local",
            "a:7433, A",
            "a:0",
            "a:65536",
            "a:",
            "a:b",
            "[::1",
            "[::1]x",
            "[::1]7433",
            "a b",
            "http://a",
            "a/b",
            ".a",
            "a..b",
            "-a",
            "a\nb",
            "[a]:1:2",
        ] {
            assert!(list.parse::<Places>().is_err(), "{list}");
        }
        let many: Vec<String> = (0..65).map(|number| format!("gpu{number}")).collect();
        assert!(many.join(",").parse::<Places>().is_err());
    }
}
