//! `pinterest.installation`: the id bound into sealed secrets, and the cluster that may send requests out.

use pgrx::Uuid;

use super::{execute, read, write};
use crate::errors::{Failure, Kind};
use crate::platform;

/// The installation's row.
pub struct Installation {
    /// Bound into every sealed secret; never changes.
    pub id: String,
    system_identifier: String,
}

impl Installation {
    /// Refuses to go on in a restored copy: its requests would rotate the original's tokens away.
    pub fn check_not_a_copy(&self) -> Result<(), Failure> {
        if self.system_identifier == platform::system_identifier() {
            return Ok(());
        }
        Err(Failure::new(Kind::NotReady, "this database is a copy that was made in another cluster")
            .with_detail(format!(
                "Its requests belong to the cluster {}, this is {}.",
                self.system_identifier,
                platform::system_identifier()
            ))
            .with_hint("If the original is gone for good, call pinterest_adopt(); else leave the copy quiet."))
    }
}

fn load() -> Result<Option<Installation>, Failure> {
    let rows = read("SELECT i.installation_id, i.system_identifier FROM pinterest.installation i", &[], |row| {
        Ok(Installation { id: row.get::<Uuid>(1)?.to_string(), system_identifier: row.get(2)? })
    })?;
    Ok(rows.into_iter().next())
}

/// The installation's row, if anything was ever sealed here.
pub fn find() -> Result<Option<Installation>, Failure> {
    load()
}

/// The installation's row, made on first use.
pub fn get_or_create() -> Result<Installation, Failure> {
    if let Some(installation) = load()? {
        return Ok(installation);
    }
    let made = write(
        "INSERT INTO pinterest.installation (system_identifier) VALUES ($1) ON CONFLICT (singleton) \
         DO UPDATE SET singleton = true RETURNING installation_id, system_identifier",
        &[platform::system_identifier().into()],
        |row| Ok(Installation { id: row.get::<Uuid>(1)?.to_string(), system_identifier: row.get(2)? }),
    )?;
    made.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "the installation's row cannot be made"))
}

/// Lets this cluster send requests out; true where that changed something.
pub fn adopt() -> Result<bool, Failure> {
    let changed = execute(
        "UPDATE pinterest.installation SET system_identifier = $1 \
         WHERE system_identifier <> $1",
        &[platform::system_identifier().into()],
    )?;
    Ok(changed > 0)
}
