//! `pinterest.installation`: the id bound into sealed secrets, and the place that may send requests out.

use pgrx::Uuid;

use super::{Row, execute, read, write};
use crate::errors::{Failure, Kind};
use crate::settings::CloneFence;
use crate::{platform, settings};

/// The installation's row.
pub struct Installation {
    /// Bound into every sealed secret; never changes.
    pub id: String,
    /// `pinterest_rotate_key()` was called and not everything is sealed anew yet.
    pub rotation_requested: bool,
    identity: String,
    host: String,
}

impl Installation {
    fn of(row: &Row<'_, '_>) -> Result<Self, Failure> {
        Ok(Installation {
            id: row.get::<Uuid>(1)?.to_string(),
            rotation_requested: row.get(2)?,
            identity: row.get(3)?,
            host: row.get(4)?,
        })
    }

    /// Refuses to go on in a copy, as far as `pinterest.clone_fence` can tell one: its requests would rotate the
    /// original's tokens away.
    pub fn check_not_a_copy(&self) -> Result<(), Failure> {
        let fence = settings::clone_fence();
        let here = platform::database_identity();
        if fence != CloneFence::Off && self.identity != here {
            return Err(Failure::new(Kind::NotReady, "this database is a copy of another one")
                .with_detail(format!(
                    "The requests belong to {}, this is {here} (system identifier/oid of the database).",
                    self.identity
                ))
                .with_hint("If the original is gone for good, call pinterest_adopt(); else leave the copy quiet."));
        }
        if fence == CloneFence::Strict && self.host != platform::host_digest() {
            return Err(Failure::new(
                Kind::NotReady,
                "this database was last in charge on another host or in another data directory",
            )
            .with_detail("pinterest.clone_fence is strict: a physical copy and a promoted standby look alike.")
            .with_hint(
                "After a failover or a move call pinterest_adopt(); in a copy beside the original leave it quiet.",
            ));
        }
        Ok(())
    }
}

/// The installation's row, if anything was ever sealed here.
pub fn find() -> Result<Option<Installation>, Failure> {
    let rows = read(
        "SELECT i.installation_id, i.rotation_requested_at IS NOT NULL, i.database_identity, i.host \
         FROM pinterest.installation i",
        &[],
        |row| Installation::of(&row),
    )?;
    Ok(rows.into_iter().next())
}

/// The installation's row, made on first use.
pub fn get_or_create() -> Result<Installation, Failure> {
    if let Some(installation) = find()? {
        return Ok(installation);
    }
    let made = write(
        "INSERT INTO pinterest.installation AS i (database_identity, host) VALUES ($1, $2) ON CONFLICT (singleton) \
         DO UPDATE SET singleton = true \
         RETURNING i.installation_id, i.rotation_requested_at IS NOT NULL, i.database_identity, i.host",
        &[platform::database_identity().into(), platform::host_digest().into()],
        |row| Installation::of(&row),
    )?;
    made.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "the installation's row cannot be made"))
}

/// Lets this database, on this host, send requests out; true where that changed something.
pub fn adopt() -> Result<bool, Failure> {
    let changed = execute(
        "UPDATE pinterest.installation SET database_identity = $1, host = $2 WHERE (database_identity, host) <> ($1, $2)",
        &[platform::database_identity().into(), platform::host_digest().into()],
    )?;
    if changed > 0 {
        // Logical replication brings the rows and leaves the sequences where they were.
        read(
            "SELECT setval('pinterest.app_app_id_seq', GREATEST((SELECT max(app_id) FROM pinterest.app), \
                 (SELECT last_value FROM pinterest.app_app_id_seq))), \
             setval('pinterest.account_account_id_seq', GREATEST((SELECT max(account_id) FROM pinterest.account), \
                 (SELECT last_value FROM pinterest.account_account_id_seq))), \
             setval('pinterest.model_model_id_seq', GREATEST((SELECT max(model_id) FROM pinterest.model), \
                 (SELECT last_value FROM pinterest.model_model_id_seq))), \
             setval('pinterest.import_import_id_seq', GREATEST((SELECT max(import_id) FROM pinterest.import), \
                 (SELECT last_value FROM pinterest.import_import_id_seq))), \
             setval('pinterest.quota_ledger_quota_id_seq', GREATEST((SELECT max(quota_id) FROM pinterest.quota_ledger), \
                 (SELECT last_value FROM pinterest.quota_ledger_quota_id_seq)))",
            &[],
            |_| Ok(()),
        )?;
    }
    Ok(changed > 0)
}

/// Remembers that everything is to be sealed anew, or that it has been.
pub fn request_rotation(requested: bool) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.installation SET rotation_requested_at = CASE WHEN $1 THEN clock_timestamp() END",
        &[requested.into()],
    )?;
    Ok(())
}
