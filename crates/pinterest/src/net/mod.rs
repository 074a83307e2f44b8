//! Checks before the first byte is sent: hosts, addresses, certificates, the proxy.

mod address;
mod address_rule;
mod endpoints;
mod gate;
mod host;
mod private_host;
mod proxy;
mod resolver;
mod tls;

pub(crate) use address_rule::{AddressRule, RefusedAddress};
pub use endpoints::Endpoints;
pub use gate::host_of_url;
pub(crate) use gate::{admit_redirect, admit_url};
pub use host::Host;
pub use private_host::{AddressRange, PrivateHost};
pub(crate) use proxy::{Inquiry, read_credentials};
pub use proxy::{Proxy, ProxyAddress};
pub(crate) use resolver::GuardedResolver;
pub use resolver::{LookUp, LookUpFuture, SystemLookUp};
pub(crate) use tls::client_config;
