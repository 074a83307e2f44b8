//! The certificate authority made at start, and the server's certificate.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::config::Certificate;
use crate::error::Error;

/// The server's side of TLS, and the authority that clients must trust.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    pub(super) authority_pem: String,
}

pub(super) fn make(wanted: Certificate) -> Result<Tls, Error> {
    let authority = authority().map_err(Error::certificate)?;
    let authority_pem = authority.pem();
    let (chain, key) = leaf(&authority, wanted).map_err(Error::certificate)?;
    // An explicit provider: the process-wide default is left to the program.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::certificate)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(Error::certificate)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), authority_pem })
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "pinterest-sandbox test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

type Leaf = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn leaf(authority: &CertifiedIssuer<'static, KeyPair>, wanted: Certificate) -> Result<Leaf, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    let (name, alternatives) = match wanted {
        Certificate::WrongHost => ("elsewhere.example", vec![SanType::DnsName("elsewhere.example".try_into()?)]),
        _ => (
            "localhost",
            vec![
                SanType::DnsName("localhost".try_into()?),
                SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
                SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
            ],
        ),
    };
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = alternatives;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if wanted == Certificate::Expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let certificate = if wanted == Certificate::SelfSigned {
        params.self_signed(&key)?
    } else {
        params.signed_by(&key, authority)?
    };
    Ok((vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}
