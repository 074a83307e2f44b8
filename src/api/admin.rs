//! For the DBA: rights, and copies of a database.

use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Answer, none_long};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::postgres::identity::as_worker;
use crate::store::grants::{self, Level};
use crate::store::installation;
use crate::store::reassign::{self, HandedOver};
use crate::workers::registry;

/// Grants a role a level: 'reader' searches, 'user' also imports, 'admin' also grants.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_grant(role: &str, level: default!(&str, "'user'")) -> Answer<()> {
    none_long(&[("role", Some(role)), ("level", Some(level))])?;
    let level = Level::ALL.into_iter().find(|known| known.name() == level).ok_or_else(|| {
        Failure::new(Kind::BadArgument, format!("invalid level \"{level}\""))
            .with_hint("The levels are reader, user and admin.")
    })?;
    Ok(grants::grant(role, level)?)
}

/// Takes back from a role all that pinterest_grant() grants; with `cascade` also what the role granted to others.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_revoke(role: &str, cascade: default!(bool, "false")) -> Answer<()> {
    none_long(&[("role", Some(role))])?;
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

/// Hands over to a role what another one owns, as REASSIGN OWNED does with objects of the server: apps, accounts with all
/// that was imported through them, and tracked columns whose tables have changed hands already.
///
/// The caller has to have the rights of both roles: nobody comes to see the boards of others by it. What belongs to a role
/// that is gone a superuser can hand over.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_reassign(
    old_role: &str,
    new_role: &str,
) -> Result<TableIterator<'static, (name!(apps, i64), name!(accounts, i64), name!(tracked_columns, i64))>, ErrorReport>
{
    crate::store::refuse_if_read_only(c"pinterest_reassign()");
    none_long(&[("old_role", Some(old_role)), ("new_role", Some(new_role))])?;
    let from = Owner::parse(old_role.as_bytes())?;
    let to = Owner::parse(new_role.as_bytes())?;
    // SAFETY: plain reads of process-wide variables, and a catalog look-up.
    let (caller, is_superuser) = unsafe { (pg_sys::GetUserId(), pg_sys::superuser()) };
    let has_both = from.gives_rights_to(caller) && to.gives_rights_to(caller);
    if !is_superuser && !has_both {
        return Err(Failure::new(Kind::NotYours, format!("permission denied to reassign what belongs to \"{from}\""))
            .with_hint(
                "It takes the rights of both roles; what belongs to a role that is gone a superuser can reassign.",
            )
            .into());
    }
    if !to.is_role() {
        return Err(Failure::new(Kind::NotFound, format!("role \"{new_role}\" does not exist")).into());
    }
    let done = as_worker(|| {
        let mut done = HandedOver::default();
        for from in from.shown_alike() {
            let some = reassign::hand_over(&from, &to)?;
            done.apps += some.apps;
            done.accounts += some.accounts;
            done.tracked_columns += some.tracked_columns;
        }
        Ok(done)
    })?;
    if !from.is_role() && done.apps + done.accounts + done.tracked_columns == 0 {
        return Err(Failure::new(Kind::NotFound, format!("nothing belongs to \"{old_role}\""))
            .with_hint("Write the owner as it is shown: SELECT DISTINCT owner FROM pinterest.accounts.")
            .into());
    }
    registry::wake_at_commit()?;
    Ok(TableIterator::once((done.apps, done.accounts, done.tracked_columns)))
}
