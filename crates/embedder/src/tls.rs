//! Mutual TLS between machines: both sides have a certificate, and accept those that one authority has signed. Files that are
//! replaced are read again without a restart.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use embedder::{Dial, Dialling, Error, Stream};
use rustix::net::sockopt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::log;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// The name of the protocol in TLS: a server of something else is recognised before the first frame.
pub const PROTOCOL: &[u8] = b"pinterest-embedder/1";

/// A connection over which nothing comes is asked for a sign of life after the first time, and then at intervals of the second.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));

/// The largest of the files, in bytes.
const MOST: u64 = 1 << 20;

/// The files of one side.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Certificate of this side, PEM, with those between it and the authority's
    #[arg(long = "tls-certificate", value_name = "FILE", required = false)]
    certificate: PathBuf,

    /// Private key of the certificate, PEM, readable by this user only or by its group too
    #[arg(long = "tls-key", value_name = "FILE", required = false)]
    key: PathBuf,

    /// Certificates of the authorities that sign the other side's, PEM
    #[arg(long = "tls-ca", value_name = "FILE", required = false)]
    authorities: PathBuf,
}

/// What identifies the contents of the files without reading them.
type Stamp = Vec<Option<(u64, u64, i64, i64, u64)>>;

/// The present configurations.
pub struct Tls {
    files: Files,
    current: Mutex<Current>,
}

struct Current {
    stamp: Stamp,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// In words, with the file's name, if one cannot be read, does not fit the others, or can be read by others.
    pub fn load(files: Files) -> Result<Self, String> {
        let stamp = files.stamp();
        let (server, client) = files.configurations()?;
        Ok(Self { files, current: Mutex::new(Current { stamp, server, client }) })
    }

    /// For accepting a connection.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.lock().server)
    }

    /// Reads files that have changed, until it is dropped. While they are not right, the former ones stay in force.
    pub async fn watch(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            let stamp = self.files.stamp();
            if stamp == self.lock().stamp {
                continue;
            }
            match self.files.configurations() {
                Ok((server, client)) => {
                    *self.lock() = Current { stamp, server, client };
                    log::line(format_args!("read the replaced certificate \"{}\"", self.files.certificate.display()));
                }
                Err(why) => {
                    self.lock().stamp = stamp;
                    log::line(format_args!("the replaced TLS files are not used: {why}"));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn stamp(&self) -> Stamp {
        let of = |path: &PathBuf| {
            let found = fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
        };
        [&self.certificate, &self.key, &self.authorities].into_iter().map(of).collect()
    }

    fn configurations(&self) -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            roots.add(certificate).map_err(|error| wrong(&self.authorities, error))?;
        }
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| wrong(&self.authorities, error))?;
        let versions = &[&rustls::version::TLS13];
        let no_match = |error| format!("{} and {}: {error}", self.certificate.display(), self.key.display());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(no_match)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(no_match)?;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok((Arc::new(server), Arc::new(client)))
    }
}

/// Sets what both sides want of a connection: frames are sent at once, and an end that has gone without a word is noticed.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE.0)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE.1)?;
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong(path, "contains no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(path, error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let found = fs::metadata(path).map_err(|error| wrong(path, error))?;
    let user = rustix::process::geteuid().as_raw();
    if ![user, 0].contains(&found.uid()) || found.mode() & 0o037 != 0 {
        return Err(wrong(
            path,
            "must belong to this user or root and be accessible to nobody else, except that its group may \
                                read it (chmod 0600 or 0640)",
        ));
    }
    // The parser's own error could contain a part of the key.
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| wrong(path, "contains no private key in PEM format"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let found = fs::metadata(path).map_err(|error| wrong(path, error))?;
    if !found.is_file() || found.len() > MOST {
        return Err(wrong(path, "is not a file of at most 1 MiB"));
    }
    fs::read(path).map_err(|error| wrong(path, error))
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> String {
    format!("\"{}\": {why}", path.display())
}

/// The server at an address, which has a certificate for its name.
pub struct Server {
    pub tls: Arc<Tls>,
    /// A name of DNS or an IP address.
    pub host: String,
    pub address: std::net::SocketAddr,
}

impl Server {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let name = match self.host.parse::<IpAddr>() {
            Ok(address) => ServerName::IpAddress(address.into()),
            Err(_) => ServerName::try_from(self.host.clone()).map_err(io::Error::other)?,
        };
        let config = Arc::clone(&self.tls.lock().client);
        let stream = TcpStream::connect(self.address).await?;
        prepare(&stream)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(PROTOCOL) => Ok(Box::new(stream)),
            _ => Err(io::Error::other("what listens there is not an embedder")),
        }
    }
}

impl Dial for Server {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            self.connect().await.map_err(|error| Error::unavailable(self.address.to_string(), error.to_string()))
        })
    }
}
