//! For the DBA: rights, and copies of a database.

use pgrx::prelude::*;

use super::{Answer, none_long};
use crate::errors::{Failure, Kind};
use crate::identity::as_worker;
use crate::store::grants::{self, Level};
use crate::store::installation;
use crate::workers::registry;

/// Grants a role a level: 'reader' searches, 'user' also imports, 'admin' also grants.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_grant(role: &str, level: default!(&str, "'user'")) -> Answer<()> {
    none_long(&[("role", Some(role)), ("level", Some(level))])?;
    let level = match level {
        "user" => Level::User,
        "reader" => Level::Reader,
        "admin" => Level::Admin,
        other => {
            return Err(Failure::new(Kind::BadArgument, format!("there is no level \"{other}\""))
                .with_hint("The levels are user, reader and admin.")
                .into());
        }
    };
    Ok(grants::grant(role, level)?)
}

/// Takes back from a role all that pinterest_grant() grants; with `cascade` also what the role granted to others.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_revoke(role: &str, cascade: default!(bool, "false")) -> Answer<()> {
    Ok(grants::revoke(role, cascade)?)
}

/// Lets a copied database send requests out from this cluster; true where that changed something.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_adopt() -> Answer<bool> {
    let adopted = as_worker(|| {
        installation::get_or_create()?;
        installation::adopt()
    })?;
    registry::wake_at_commit()?;
    Ok(adopted)
}
