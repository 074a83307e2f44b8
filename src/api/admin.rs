//! For the DBA: privileges, copies of a database, changes of owners.

use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::wait::require_read_committed;
use super::{Answer, none_long, writes_here};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::postgres::identity::as_worker;
use crate::store::grants::{self, Level};
use crate::store::reassign::{self, Transferred};
use crate::store::{distribution, installation, refuse_if_read_only};
use crate::workers::registry;

/// Grants a role a level: 'reader' searches, 'user' also imports, 'admin' also grants.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_grant(role: &str, level: default!(&str, "'user'")) -> Answer<()> {
    refuse_if_read_only("pinterest_grant()")?;
    none_long(&[("role", Some(role)), ("level", Some(level))])?;
    let level = Level::ALL.into_iter().find(|known| known.name() == level).ok_or_else(|| {
        Failure::new(Kind::BadArgument, format!("invalid level \"{level}\""))
            .with_hint("The levels are reader, user and admin.")
    })?;
    distribution::grant_on_nodes(role, level)?;
    let _local = distribution::local_ddl()?;
    Ok(grants::grant(role, level)?)
}

/// Revokes from a role everything that pinterest_grant() grants; with `cascade` also the grants by the role to others.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_revoke(role: &str, cascade: default!(bool, "false")) -> Answer<()> {
    refuse_if_read_only("pinterest_revoke()")?;
    none_long(&[("role", Some(role))])?;
    distribution::revoke_on_nodes(role, cascade)?;
    let _local = distribution::local_ddl()?;
    Ok(grants::revoke(role, cascade)?)
}

/// Lets a copied database send requests from this cluster; true if that changed something.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_adopt() -> Answer<bool> {
    writes_here("pinterest_adopt()")?;
    let adopted = as_worker(|| {
        installation::get_or_create()?;
        reassign::own_restored()?;
        installation::adopt()
    })?;
    registry::wake_at_commit()?;
    Ok(adopted)
}

/// Gives everything that a role owns to another role, like REASSIGN OWNED: apps, accounts with everything imported
/// through them, and tracked columns whose tables already belong to the new owner.
///
/// The caller must have the privileges of both roles, so that no role gains access to others' boards. Superusers can also
/// reassign the objects of a missing role.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_reassign(
    old_role: &str,
    new_role: &str,
) -> Result<TableIterator<'static, (name!(apps, i64), name!(accounts, i64), name!(tracked_columns, i64))>, ErrorReport>
{
    writes_here("pinterest_reassign()")?;
    // Rows that an import has inserted since the transaction's snapshot must be found.
    require_read_committed(c"pinterest_reassign()")?;
    none_long(&[("old_role", Some(old_role)), ("new_role", Some(new_role))])?;
    let from = Owner::parse(old_role.as_bytes())?;
    let to = Owner::parse(new_role.as_bytes())?;
    // SAFETY: plain reads of process-wide variables, and a catalog look-up.
    let (caller, is_superuser) = unsafe { (pg_sys::GetUserId(), pg_sys::superuser()) };
    let has_both = from.gives_rights_to(caller) && to.gives_rights_to(caller);
    if !is_superuser && !has_both {
        return Err(Failure::new(Kind::NotYours, format!("permission denied to reassign objects of \"{from}\""))
            .with_hint(
                "It requires the privileges of both roles. Objects of a missing role can be reassigned by superusers.",
            )
            .into());
    }
    if !to.is_role() {
        return Err(Failure::new(Kind::NotFound, format!("role \"{new_role}\" does not exist")).into());
    }
    let done = as_worker(|| {
        let mut done = Transferred::default();
        for from in from.shown_alike() {
            let some = reassign::transfer(&from, &to)?;
            done.apps += some.apps;
            done.accounts += some.accounts;
            done.tracked_columns += some.tracked_columns;
        }
        Ok(done)
    })?;
    if !from.is_role() && done.apps + done.accounts + done.tracked_columns == 0 {
        return Err(Failure::new(Kind::NotFound, format!("nothing belongs to \"{old_role}\""))
            .with_hint("Write the owner as shown by SELECT DISTINCT owner FROM pinterest.accounts.")
            .into());
    }
    registry::wake_at_commit()?;
    Ok(TableIterator::once((done.apps, done.accounts, done.tracked_columns)))
}
