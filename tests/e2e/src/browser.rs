//! The part of a browser that an OAuth flow needs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::Result;

/// Opens pages over https, trusting only the authorities of one PEM file, without following redirects.
#[derive(Clone, Debug)]
pub struct Browser {
    agent: Agent,
}

impl Browser {
    /// A browser that trusts the certificate authorities in a PEM file.
    pub fn trusting(ca_file: &Path) -> Result<Self> {
        let pem = std::fs::read(ca_file).with_context(|| format!("cannot read {}", ca_file.display()))?;
        let authorities: Vec<Certificate<'static>> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        ensure!(!authorities.is_empty(), "{} does not contain a certificate", ca_file.display());
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&authorities)).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        Ok(Self { agent })
    }

    /// Opens the authorization page, which approves automatically, and returns its redirect.
    pub fn authorize(&self, authorize_url: &str) -> Result<Redirect> {
        let answer = self.agent.get(authorize_url).call().context("cannot open the authorization page")?;
        let status = answer.status();
        let location = answer
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .with_context(|| format!("the authorization page returned {status} without a redirect"))?;
        Redirect::parse(location)
    }
}

/// The parameters of the authorization page's redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The code to exchange.
    pub code: String,
    /// The state of the authorization URL.
    pub state: String,
}

impl Redirect {
    fn parse(location: &str) -> Result<Self> {
        let query = location.split_once('?').map_or("", |(_, query)| query);
        let parameter = |name: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
                .with_context(|| format!("the authorization page's redirect has no {name}"))
        };
        Ok(Self { code: parameter("code")?, state: parameter("state")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_hands_over_code_and_state() {
        let redirect = Redirect::parse("http://localhost:8085/?code=a%2Fb+c&state=x-y").unwrap();
        assert_eq!(redirect, Redirect { code: "a/b c".into(), state: "x-y".into() });
    }

    #[test]
    fn a_refusal_is_an_error() {
        assert!(Redirect::parse("http://localhost:8085/?error=access_denied&state=x").is_err());
    }
}
