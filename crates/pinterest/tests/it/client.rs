//! Clients of the test server.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pinterest::{AppCredentials, Client, ClientBuilder, Endpoints, Host, Limits, Secret};

use crate::server::Server;

/// The test's clock stands still.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// Caps as they are, timers in fractions of a second.
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

/// A client whose every host is the server.
pub fn client(server: &Server) -> Client {
    client_with(server, |builder| builder)
}

/// The same with short timers.
pub fn impatient_client(server: &Server) -> Client {
    client_with(server, |builder| builder.limits(impatient_limits()))
}

pub fn client_with(server: &Server, adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    client_of(server, &format!("localhost:{}", server.port), adjust).unwrap()
}

/// A client that knows the server by this name and trusts its authority.
pub fn client_of(
    server: &Server,
    host: &str,
    adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, pinterest::Error> {
    build(server, Endpoints { images: vec![host.parse().unwrap()], ..api_at(host) }, adjust)
}

/// Endpoints that contact an API at `host` and no image host.
pub fn api_at(host: &str) -> Endpoints {
    let host: Host = host.parse().unwrap();
    Endpoints { api: host.clone(), authorize: host, images: Vec::new(), ..Endpoints::default() }
}

/// A client that trusts the server's authority and these endpoints.
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
