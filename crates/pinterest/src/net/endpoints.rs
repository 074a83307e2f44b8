//! The hosts that may be contacted.

use std::path::PathBuf;

use super::address_rule::AddressRule;
use super::host::Host;
use super::private_host::PrivateHost;
use super::proxy::Proxy;

/// The hosts that may be contacted, and a certificate authority to trust in addition to the platform's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The API and the token endpoint. Tokens and the client secret are sent only here.
    pub api: Host,
    /// The page where a user consents in a browser; never contacted by this crate.
    pub authorize: Host,
    /// The hosts that images may be fetched from.
    pub images: Vec<Host>,
    /// Image hosts with addresses of an internal network. Such a host may have addresses in its ranges and no others.
    /// Link-local and multicast addresses and metadata services of clouds are always refused, and so are loopback addresses
    /// unless a range contains only these.
    pub private_images: Vec<PrivateHost>,
    /// The proxy for all requests except those to private image hosts.
    pub proxy: Option<Proxy>,
    /// A PEM file of certificate authorities trusted in addition to the platform's store.
    pub ca_file: Option<PathBuf>,
}

impl Default for Endpoints {
    /// Pinterest's own hosts.
    fn default() -> Self {
        let host = |name: &str| name.parse::<Host>().expect("this is a bug: a built-in host name is valid");
        Self {
            api: host("api.pinterest.com"),
            authorize: host("www.pinterest.com"),
            images: vec![host("i.pinimg.com")],
            private_images: Vec::new(),
            proxy: None,
            ca_file: None,
        }
    }
}

impl Endpoints {
    /// Whether the host has addresses of an internal network.
    pub(crate) fn is_private(&self, host: &Host) -> bool {
        let name = host.name();
        self.private_images.iter().any(|private| private.name == name)
    }

    /// Whether the host is reached without a proxy. Private hosts are, so that their addresses are checked.
    pub(crate) fn is_direct(&self, host: &Host) -> bool {
        self.proxy.as_ref().is_none_or(|proxy| proxy.bypass.contains(host)) || self.is_private(host)
    }

    /// Which addresses the host may have.
    pub(crate) fn address_rule(&self, host: &Host) -> AddressRule {
        let name = host.name();
        let ranges: Vec<_> =
            self.private_images.iter().filter(|private| private.name == name).map(|private| private.range).collect();
        if !ranges.is_empty() {
            AddressRule::Within(ranges)
        } else if host.is_loopback_name() {
            AddressRule::Loopback
        } else {
            AddressRule::Public
        }
    }
}
