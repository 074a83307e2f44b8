//! The clone fence, the hosts of requests, and the proxy.

use pinterest::{Client, Endpoints};

use super::{Finding, listed};
use crate::errors::Failure;
use crate::postgres::helper_thread::block_on;
use crate::postgres::identity::as_worker;
use crate::postgres::threads::WaitEvent;
use crate::settings::{self, CloneFence};
use crate::store::installation;

pub fn clone_fence() -> Result<Finding, Failure> {
    let rule = match settings::clone_fence() {
        CloneFence::Off => return Ok(Finding::Note("off: a copy of this database can send requests too".to_owned())),
        CloneFence::On => "on: this database may send requests; a restored dump or a logical subscriber may not",
        CloneFence::Strict => {
            "strict: this database on this host may send requests; no copy may, and no promoted standby"
        }
    };
    may_send()?;
    Ok(Finding::Good(rule.to_owned()))
}

/// Refuses if this database is a copy that must not send requests.
fn may_send() -> Result<(), Failure> {
    as_worker(|| match installation::find()? {
        None => Ok(()),
        Some(installation) => installation.check_not_a_copy(),
    })
}

pub fn hosts() -> Result<Finding, Failure> {
    let endpoints = settings::endpoints()?;
    let text = format!("API {}, images {}", endpoints.api, listed(&endpoints.images));
    Ok(if endpoints == Endpoints::default() {
        Finding::Good(text)
    } else {
        Finding::Note(format!("{text}: not Pinterest's own"))
    })
}

pub fn proxy() -> Result<Finding, Failure> {
    let endpoints = settings::endpoints()?;
    let Some(proxy) = endpoints.proxy.clone() else {
        return Ok(Finding::Good("none: requests go directly to their hosts".to_owned()));
    };
    let mut text = proxy.address.to_string();
    if !proxy.bypass.is_empty() {
        text.push_str(&format!(", not for {}", listed(&proxy.bypass)));
    }
    if may_send().is_err() {
        return Ok(Finding::Note(format!("{text}; not tested, because this database sends no requests")));
    }
    let tested: Result<_, Failure> =
        block_on(
            WaitEvent::Api,
            move || async move { Client::new(endpoints)?.ask_proxy().await.map_err(Failure::from) },
        );
    Ok(Finding::Good(match tested? {
        Some(host) => format!("{text}; opens connections to {host}"),
        None => format!("{text}; no host is reached through it"),
    }))
}
