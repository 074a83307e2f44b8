//! Keys, sealed secrets, apps, and the owners of everything.

use pgrx::pg_sys;

use super::Finding;
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::platform;
use crate::secrets::keys;
use crate::secrets::sealer::Sealer;
use crate::settings;
use crate::store::{app_access, app_breaker, grants, installation, reassign, seal};

/// Whether the caller administers the extension.
fn is_admin() -> Result<bool, Failure> {
    // SAFETY: a plain read of a process-wide variable.
    grants::is_admin(unsafe { pg_sys::GetUserId() })
}

pub fn key() -> Result<Finding, Failure> {
    let configured = settings::key_file().is_some() || settings::key_command().is_some();
    // A key is made at its first use, which a check must not be.
    let nothing_sealed = || as_worker(|| Ok(seal::by_key()?.is_empty())).unwrap_or(false);
    if !configured && !platform::data_directory().join("pinterest.key").exists() && nothing_sealed() {
        let text = "no key yet: one is made in the data directory with the first secret";
        return Ok(Finding::Note(text.to_owned()));
    }
    let text = as_worker(|| Ok(format!("active key {}", keys::ring()?.active())))?;
    Ok(if configured {
        Finding::Good(text)
    } else {
        Finding::Note(format!(
            "{text}, in the data directory and thus in base backups: copy it elsewhere, set pinterest.key_file, restart \
             or reload, then remove it"
        ))
    })
}

/// Only a caller who administers the extension gets numbers: they are those of all owners.
pub fn secrets() -> Result<Finding, Failure> {
    let is_admin = is_admin()?;
    as_worker(|| {
        let Some(installation) = installation::find()? else { return Ok(Finding::Good("none yet".to_owned())) };
        if let Err(copy) = installation.check_not_a_copy() {
            return Ok(Finding::Note(format!("not checked: {copy}")));
        }
        let sealer = Sealer::open()?;
        let (named, missing) = sealer.named_keys()?;
        if !missing.is_empty() {
            return Err(if is_admin {
                sealer.missing_keys(&missing)
            } else {
                Failure::new(Kind::KeyMissing, "some are sealed with keys that the server does not have")
            });
        }
        let (active, _) = sealer.keys();
        let all: i64 = named.iter().map(|key| key.secrets).sum();
        let old: i64 = named.iter().filter(|key| key.fingerprint != active).map(|key| key.secrets).sum();
        let some = if is_admin { format!("{old} of {all}") } else { "some".to_owned() };
        Ok(match (old, installation.rotation.is_some()) {
            (0, _) if is_admin => Finding::Good(format!("{all}, all sealed with the active key")),
            (0, _) => Finding::Good("all sealed with the active key".to_owned()),
            (_, true) => Finding::Note(format!("{some} are waiting to be sealed with the active key")),
            (_, false) => Finding::Note(format!(
                "{some} are sealed with an older key; pinterest_rotate_key() seals them with the active one"
            )),
        })
    })
}

/// Those that the caller may see.
pub fn apps() -> Result<Finding, Failure> {
    let paused = app_breaker::paused()?;
    if paused.is_empty() {
        return Ok(Finding::Good("none is paused".to_owned()));
    }
    Ok(Finding::Bad(
        format!("refreshes are paused: {}", paused.join("; ")),
        "Compare client id and secret with the app's page at Pinterest; pinterest_register_app() ends the pause."
            .to_owned(),
    ))
}

/// Of the apps that the caller may see.
pub fn access_of_apps() -> Result<Finding, Failure> {
    let without = app_access::without()?;
    if without.is_empty() {
        return Ok(Finding::Good("Pinterest refuses none".to_owned()));
    }
    Ok(Finding::Bad(
        format!("Pinterest has not granted access: {}", without.join("; ")),
        Failure::new(Kind::AppAccess, "").hint().unwrap_or_default().to_owned(),
    ))
}

/// All owners if the caller administers the extension; other callers see no rows of missing roles.
pub fn owners() -> Result<Finding, Failure> {
    let ownerless = if is_admin()? { as_worker(reassign::ownerless)? } else { Vec::new() };
    if ownerless.is_empty() {
        return Ok(Finding::Good("all are roles".to_owned()));
    }
    let counts = ownerless.iter().map(|left| {
        format!(
            "\"{}\": apps {}, accounts {}, tracked columns {}",
            left.owner, left.apps, left.accounts, left.tracked_columns
        )
    });
    Ok(Finding::Bad(
        format!("{} are not roles: {}", ownerless.len(), counts.collect::<Vec<_>>().join("; ")),
        "pinterest_reassign(owner, role) gives their apps, accounts and tracked columns to a role; \
         pinterest_disconnect(account_id, purge => true) deletes an account. Until then only superusers see them, and \
         their imports wait."
            .to_owned(),
    ))
}
