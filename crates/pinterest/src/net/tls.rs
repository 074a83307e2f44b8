//! Whose certificates are believed.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, ErrorKind};

/// The TLS configuration: the platform's store, and `ca_file` in addition. There is no way to turn verification off.
///
/// The crypto provider is handed over here and not installed for the process: the process is not ours.
///
/// # Errors
/// [`ErrorKind::Config`] if the file cannot be read or holds no certificate, or if nothing at all is trusted.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // Errors of single files are common in real stores; what counts is whether anything usable is left.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        for certificate in read_certificates(path)? {
            roots.add(certificate).map_err(|error| config(format!("{}: {error}", path.display())))?;
        }
    }
    if roots.is_empty() {
        return Err(config(
            "no certificate authority is trusted: install the system's CA certificates or set a CA file",
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| config(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = std::fs::read(path)
        .map_err(|error| config(format!("the CA file {} cannot be read: {error}", path.display())))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| config(format!("the CA file {} is not PEM: {error}", path.display())))?;
    if certificates.is_empty() {
        return Err(config(format!("the CA file {} holds no certificate", path.display())));
    }
    Ok(certificates)
}

fn config(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_ca_file_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        assert!(client_config(Some(&path)).unwrap_err().to_string().contains("cannot be read"));
        for (text, expected) in [
            ("", "holds no certificate"),
            ("not PEM", "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "is not PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ca.pem"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = client_config(Some(&path)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
