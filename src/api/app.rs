//! Registering apps.

use pgrx::prelude::*;
use pinterest::Secret;
use pinterest::seal::Purpose;

use super::{Answer, without_control_characters};
use crate::errors::{Failure, Kind};
use crate::identity::{as_worker, current_role};
use crate::store::app;
use crate::tokens::Sealer;

/// Registers an app of the calling role, or replaces what it registered under that name; returns its id.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_register_app(name: &str, client_id: &str, client_secret: &str, redirect_uri: &str) -> Answer<i64> {
    without_control_characters(name, "name")?;
    without_control_characters(client_id, "client_id")?;
    without_control_characters(client_secret, "client_secret")?;
    without_control_characters(redirect_uri, "redirect_uri")?;
    if !redirect_uri.contains("://") {
        return Err(Failure::new(Kind::BadArgument, "redirect_uri must be an absolute URI")
            .with_hint("Write it literally as it is registered with Pinterest, trailing slash included.")
            .into());
    }
    let secret = Secret::new(client_secret);
    let owner = current_role();
    let app_id = as_worker(|| {
        let sealer = Sealer::open()?;
        let app_id = match app::lock_id(&owner, name)? {
            Some(app_id) => app_id,
            None => app::next_id()?,
        };
        // Sealed before there is a row: a constraint's DETAIL, the WAL and the heap see ciphertext only.
        let sealed = sealer.seal(Purpose::ClientSecret, app_id, 0, &secret)?;
        let app = app::App {
            app_id,
            name: name.to_owned(),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
        };
        app::upsert(&owner, &app, sealed)
    })?;
    Ok(app_id)
}
