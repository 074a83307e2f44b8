//! The trusted certificate authorities.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, ErrorKind};

/// The TLS configuration: trusts the platform's store and `ca_file`. Verification cannot be turned off.
///
/// The crypto provider is passed here and not installed for the process, which belongs to the caller.
///
/// # Errors
/// [`ErrorKind::Config`] if the file cannot be read or contains no certificate, or if no authority is trusted.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // Errors of single files are common in real stores; it is enough if any authority is usable.
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
        .map_err(|error| config(format!("could not set up TLS: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = std::fs::read(path)
        .map_err(|error| config(format!("the CA file {} cannot be read: {error}", path.display())))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| config(format!("the CA file {} is not PEM: {error}", path.display())))?;
    if certificates.is_empty() {
        return Err(config(format!("the CA file {} contains no certificate", path.display())));
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
    fn the_error_of_a_bad_ca_file_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        assert!(client_config(Some(&path)).unwrap_err().to_string().contains("cannot be read"));
        for (text, expected) in [
            ("", "contains no certificate"),
            ("not PEM", "contains no certificate"),
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
