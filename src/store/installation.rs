//! `pinterest.installation`: the id bound into sealed secrets, and the database and host that may send requests.

use pgrx::Uuid;

use super::{Row, affected, execute, read, read_optional, write, write_one};
use crate::errors::{Failure, Kind};
use crate::postgres::platform;
use crate::settings;
use crate::settings::CloneFence;

/// The installation's row.
pub struct Installation {
    /// Bound into every sealed secret; never changes.
    pub id: String,
    /// The fingerprint of the key that all secrets are to be sealed with, while a rotation is under way.
    pub rotation: Option<String>,
    identity: String,
    host: String,
}

impl Installation {
    fn of(row: &Row<'_, '_>) -> Result<Self, Failure> {
        Ok(Installation {
            id: row.get::<Uuid>(1)?.to_string(),
            rotation: row.maybe(2)?,
            identity: row.get(3)?,
            host: row.get(4)?,
        })
    }

    /// Fails in a copy of the database, as defined by `pinterest.clone_fence`: its requests would replace the tokens of
    /// the original.
    pub fn check_not_a_copy(&self) -> Result<(), Failure> {
        let fence = settings::clone_fence();
        let here = platform::database_identity();
        if fence != CloneFence::Off && self.identity != here {
            return Err(Failure::new(Kind::NotReady, "this database is a copy of another one")
                .with_detail(format!(
                    "Only {} may send requests, and this is {here} (system identifier/oid of the database).",
                    self.identity
                ))
                .with_hint(
                    "If the original is permanently gone, call pinterest_adopt(); otherwise leave the copy inactive.",
                ));
        }
        if fence == CloneFence::Strict && self.host != platform::host_digest() {
            return Err(Failure::new(
                Kind::NotReady,
                "this database was last active on another host or in another data directory",
            )
            .with_detail("pinterest.clone_fence is strict, because a physical copy and a promoted standby cannot be distinguished.")
            .with_hint(
                "After a failover or a move, call pinterest_adopt(); leave a copy beside the original inactive.",
            ));
        }
        Ok(())
    }
}

/// The installation's row, if it exists.
pub fn find() -> Result<Option<Installation>, Failure> {
    read_optional(
        "SELECT i.installation_id, i.rotation_key, i.database_identity, i.host FROM pinterest.installation i",
        &[],
        |row| Installation::of(&row),
    )
}

/// The installation's row, inserted on first use.
pub fn get_or_create() -> Result<Installation, Failure> {
    if let Some(installation) = find()? {
        return Ok(installation);
    }
    write_one(
        "INSERT INTO pinterest.installation AS i (database_identity, host) VALUES ($1, $2) ON CONFLICT (singleton) \
         DO UPDATE SET singleton = true \
         RETURNING i.installation_id, i.rotation_key, i.database_identity, i.host",
        &[platform::database_identity().into(), platform::host_digest().into()],
        |row| Installation::of(&row),
    )
}

/// Lets this database on this host send requests; true if it could not before.
pub fn adopt() -> Result<bool, Failure> {
    let changed = affected(
        "UPDATE pinterest.installation SET database_identity = $1, host = $2 WHERE (database_identity, host) <> ($1, $2)",
        &[platform::database_identity().into(), platform::host_digest().into()],
    )?;
    if changed > 0 {
        advance_sequences()?;
    }
    Ok(changed > 0)
}

/// Advances every sequence of the extension beyond the numbers in its column: logical replication copies rows and not
/// the state of sequences. The catalog contains which column that is, by identity or by default.
fn advance_sequences() -> Result<(), Failure> {
    let statements: Vec<String> = read(
        "SELECT format('SELECT setval(%L::regclass, GREATEST((SELECT max(c.%I) FROM %I.%I c), \
             (SELECT s.last_value FROM %I.%I s)))', \
             s.oid::regclass, a.attname, tn.nspname, t.relname, sn.nspname, s.relname) \
         FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace \
         JOIN ( \
             SELECT d.objid AS sequence, d.refobjid AS owner, d.refobjsubid AS number FROM pg_depend d \
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 \
             AND d.deptype IN ('a', 'i') \
             UNION \
             SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid \
             WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass) AS used ON used.sequence = s.oid \
         JOIN pg_class t ON t.oid = used.owner JOIN pg_namespace tn ON tn.oid = t.relnamespace \
         JOIN pg_attribute a ON a.attrelid = used.owner AND a.attnum = used.number \
         WHERE s.relkind = 'S' AND s.relnamespace = 'pinterest'::regnamespace ORDER BY s.relname",
        &[],
        |row| row.get(1),
    )?;
    for statement in statements {
        write(&statement, &[], |_| Ok(()))?;
    }
    Ok(())
}

/// Requests that all secrets are sealed again with the key of this fingerprint.
pub fn request_rotation(key: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.installation SET rotation_requested_at = clock_timestamp(), rotation_key = $1",
        &[key.into()],
    )?;
    Ok(())
}

/// Ends the request for this key. A request for another key, made in the meantime, stays.
pub fn end_rotation(key: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.installation SET rotation_requested_at = NULL, rotation_key = NULL WHERE rotation_key = $1",
        &[key.into()],
    )?;
    Ok(())
}
