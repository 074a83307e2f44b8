//! Where requests may go.

use std::path::PathBuf;

use super::host::Host;

/// The hosts that may be contacted, and the certificate authority to trust beside the platform's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The API and the token endpoint. Tokens and the client secret are sent here and nowhere else.
    pub api: Host,
    /// The page a person opens in a browser to consent; never contacted by this crate.
    pub authorize: Host,
    /// The hosts an image may be fetched from.
    pub images: Vec<Host>,
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
            ca_file: None,
        }
    }
}
