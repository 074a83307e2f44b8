//! Clients of the test server.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pinterest::{AppCredentials, Client, ClientBuilder, Endpoints, Host, Limits, LookUp, LookUpFuture, Secret};

use crate::server::Server;

/// The constant time of the test's clock.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// The default limits of size, with time limits below a second or of a few.
pub fn impatient_limits() -> Limits {
    let mut limits = Limits::default();
    limits.look_up = Duration::from_millis(200);
    limits.connect = Duration::from_secs(1);
    limits.read_idle = Duration::from_millis(600);
    limits.rate_window = Duration::from_millis(300);
    limits.api_total = Duration::from_secs(3);
    limits.image_total = Duration::from_secs(3);
    limits
}

/// A client of the server for all requests.
pub fn client(server: &Server) -> Client {
    client_with(server, |builder| builder)
}

/// A client with [`impatient_limits`].
pub fn impatient_client(server: &Server) -> Client {
    client_with(server, |builder| builder.limits(impatient_limits()))
}

pub fn client_with(server: &Server, adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    client_of(server, &format!("localhost:{}", server.port), adjust).unwrap()
}

/// A client of the server under this name.
pub fn client_of(
    server: &Server,
    host: &str,
    adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, pinterest::Error> {
    build(server, Endpoints { images: vec![host.parse().unwrap()], ..api_at(host) }, adjust)
}

/// Endpoints with the API at `host` and no image host.
pub fn api_at(host: &str) -> Endpoints {
    let host: Host = host.parse().unwrap();
    Endpoints { api: host.clone(), authorize: host, images: Vec::new(), ..Endpoints::default() }
}

/// A client of these endpoints that trusts the server's authority.
pub fn build(
    server: &Server,
    endpoints: Endpoints,
    adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, pinterest::Error> {
    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), &server.authority.pem).unwrap();
    let endpoints = Endpoints { ca_file: Some(ca_file.path().to_owned()), ..endpoints };
    adjust(Client::builder(endpoints).clock(now)).build()
}

/// A resolver with the same answer for every name: addresses, or an error.
pub struct Resolver(Result<Vec<IpAddr>, &'static str>);

impl Resolver {
    pub fn with(addresses: &[&str]) -> Self {
        Self(Ok(addresses.iter().map(|text| text.parse().unwrap()).collect()))
    }

    pub fn failing() -> Self {
        Self(Err("no such host"))
    }
}

impl LookUp for Resolver {
    fn look_up(&self, _: String) -> LookUpFuture {
        let answer = self.0.clone().map_err(io::Error::other);
        Box::pin(async move { answer })
    }
}

pub fn token() -> Secret {
    Secret::new("pina_EXAMPLEONLY")
}

pub fn app() -> AppCredentials {
    AppCredentials {
        client_id: "123456".to_owned(),
        client_secret: Secret::new("app-secret-EXAMPLEONLY"),
        redirect_uri: "http://localhost:8085/".to_owned(),
    }
}
