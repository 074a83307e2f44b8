//! Registering apps.

use pgrx::prelude::*;
use pinterest::Secret;
use pinterest::seal::Purpose;

use super::{Answer, given, none_long, without_control_characters, writes_here};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::{as_worker, current_role};
use crate::secrets::app_secret::secret_of_file;
use crate::secrets::sealer::Sealer;
use crate::store::{app, app_access, app_breaker};
use crate::workers::registry;

/// Registers an app of the calling role, or replaces the role's app of that name; returns its id. If no client secret is
/// given, it is read from `pinterest.app_secret_file` at each use.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_register_app(
    name: Option<&str>,
    client_id: Option<&str>,
    client_secret: Option<&str>,
    redirect_uri: Option<&str>,
    tier: default!(Option<&str>, "'trial'"),
) -> Answer<i64> {
    writes_here("pinterest_register_app()")?;
    let name = given(name, "name")?;
    let client_id = given(client_id, "client_id")?;
    let redirect_uri = given(redirect_uri, "redirect_uri")?;
    let tier = given(tier, "tier")?;
    none_long(&[("tier", Some(tier))])?;
    if !["trial", "standard"].contains(&tier) {
        return Err(Failure::new(Kind::BadArgument, format!("invalid tier \"{tier}\""))
            .with_hint(
                "The tiers are trial, which every app has first, and standard, which Pinterest grants on request.",
            )
            .into());
    }
    without_control_characters(name, "name")?;
    without_control_characters(client_id, "client_id")?;
    if let Some(secret) = client_secret {
        without_control_characters(secret, "client_secret")?;
    }
    without_control_characters(redirect_uri, "redirect_uri")?;
    if !redirect_uri.contains("://") {
        return Err(Failure::new(Kind::BadArgument, "redirect_uri must be an absolute URI")
            .with_hint("Write it exactly as registered with Pinterest, including a trailing slash.")
            .into());
    }
    let secret = client_secret.map(Secret::new);
    let owner = current_role();
    if secret.is_none() {
        // Reports a missing line now and not to the first user who consents.
        secret_of_file(client_id, &owner)?;
    }
    let app_id = as_worker(|| {
        let sealer = Sealer::open()?;
        let app_id = match app::lock_id(&owner, name)? {
            Some(app_id) => app_id,
            None => app::next_id()?,
        };
        // Sealed before the row is written, so that a constraint's DETAIL, the WAL and the heap contain ciphertext only.
        let sealed = secret.as_ref().map(|secret| sealer.seal(Purpose::ClientSecret, app_id, 0, secret)).transpose()?;
        let app = app::App {
            app_id,
            name: name.to_owned(),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            tier: tier.to_owned(),
        };
        app::upsert(&owner, &app, sealed)?;
        // Earlier refusals were of other credentials.
        app_breaker::resume(app_id)?;
        app_access::probe_now(app_id)?;
        Ok(app_id)
    })?;
    registry::wake_at_commit()?;
    Ok(app_id)
}
