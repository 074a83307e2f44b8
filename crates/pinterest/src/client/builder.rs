//! Builds a client with all its checks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use url::Url;

use super::proxied::Proxied;
use super::{Client, Limits, Observer};
use crate::error::{Error, ErrorKind};
use crate::net::{AddressRule, Endpoints, GuardedResolver, Inquiry, LookUp, SystemLookUp, client_config};

/// The `User-Agent` header.
const USER_AGENT: &str = concat!("pg_pinterest/", env!("CARGO_PKG_VERSION"));

/// Idle connections kept per host: as many as the most images that an import fetches in parallel.
const IDLE_CONNECTIONS: usize = 32;

/// How long an idle connection is kept: shorter than on servers, so that a request rarely meets a closing connection.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// The protocol offered in the TLS handshake (ALPN).
const HTTP_1: &[u8] = b"http/1.1";

/// Builds a [`Client`].
pub struct ClientBuilder {
    endpoints: Endpoints,
    limits: Limits,
    look_up: Arc<dyn LookUp>,
    clock: fn() -> SystemTime,
    observer: Option<Arc<dyn Observer>>,
}

impl ClientBuilder {
    pub(super) fn new(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            limits: Limits::default(),
            look_up: Arc::new(SystemLookUp::default()),
            clock: SystemTime::now,
            observer: None,
        }
    }

    /// Sets sizes and timeouts.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the name lookup. Its answers pass the same address check.
    #[must_use]
    pub fn look_up(mut self, look_up: impl LookUp + 'static) -> Self {
        self.look_up = Arc::new(look_up);
        self
    }

    /// Sets the clock, for `Retry-After` dates and quota resets given as Unix times.
    #[must_use]
    pub fn clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = clock;
        self
    }

    /// Sets what is told of every request.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Builds the client; see [`Client::new`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`]
    pub fn build(self) -> Result<Client, Error> {
        let Self { endpoints, limits, look_up, clock, observer } = self;
        // Tokens are not sent into internal networks.
        if endpoints.is_private(&endpoints.api) {
            return Err(config(format!("{} is the API's host, which must have public addresses", endpoints.api)));
        }
        // Only hosts that are reached without the proxy are looked up here.
        let mut rules = Vec::new();
        for host in std::iter::once(&endpoints.api).chain(&endpoints.images) {
            let rule = endpoints.address_rule(host);
            // The resolver never sees an IP literal, and nothing checks one that goes through a proxy.
            if host.address().is_some_and(|address| !rule.permits(address)) {
                let reason = if endpoints.is_private(host) { "outside its range" } else { "not public" };
                return Err(config(format!("address {host} is not allowed: it is {reason}")));
            }
            if endpoints.is_direct(host) {
                rules.push((host.name(), rule));
            }
        }
        let base = Url::parse(&format!("https://{}/v5/", endpoints.api))
            .map_err(|error| config(format!("{} is not a valid host of a URL: {error}", endpoints.api)))?;
        let mut tls = client_config(endpoints.ca_file.as_deref())?;
        let proxied = endpoints.proxy.as_ref().map(|proxy| {
            let rules = vec![(proxy.address.host().name(), AddressRule::Proxy)];
            let resolver = Arc::new(GuardedResolver::new(Arc::clone(&look_up), rules, limits.look_up));
            let inquiry = Inquiry {
                address: proxy.address.clone(),
                resolver: Arc::clone(&resolver),
                tls: Arc::new(tls.clone()),
                limit: limits.connect,
            };
            tls.alpn_protocols = vec![HTTP_1.to_vec()];
            let (address, tls, limits) = (proxy.address.to_string(), tls.clone(), limits.clone());
            let make = Box::new(move |credentials: Option<&HeaderValue>| {
                let mut way = reqwest::Proxy::all(&address)
                    .map_err(|_| config("the proxy's address is not a valid URL".to_owned()))?;
                if let Some(credentials) = credentials {
                    way = way.custom_http_auth(credentials.clone());
                }
                http(tls.clone(), Arc::clone(&resolver), &limits, Some(way))
            });
            let credentials_file = proxy.credentials_file.clone();
            Arc::new(Proxied { inquiry, credentials_file, make, current: Mutex::default() })
        });
        tls.alpn_protocols = vec![HTTP_1.to_vec()];
        let resolver = Arc::new(GuardedResolver::new(look_up, rules, limits.look_up));
        let direct = http(tls, resolver, &limits, None)?;
        Ok(Client { direct, proxied, base, endpoints, limits, clock, observer, is_retry: false })
    }
}

/// An HTTP client, with or without a proxy.
fn http(
    tls: rustls::ClientConfig,
    resolver: Arc<GuardedResolver>,
    limits: &Limits,
    proxy: Option<reqwest::Proxy>,
) -> Result<reqwest::Client, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .tls_backend_preconfigured(tls)
        .dns_resolver(resolver)
        .https_only(true)
        .http1_only()
        .http1_max_headers(limits.headers)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        // The default reads the environment, which here is that of the database server.
        .no_proxy()
        // Off by default; repeated because another package may enable the features for the whole build.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(limits.connect)
        .read_timeout(limits.read_idle)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_FOR);
    let builder = match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    };
    builder.build().map_err(|_| config("could not set up the HTTP client".to_owned()))
}

fn config(detail: String) -> Error {
    Error::new(ErrorKind::Config, detail)
}
