//! Rights on the extension's objects. Role names are identifiers, so these statements are built, by the server's own
//! `format()` with `%I`.

use super::{execute, read};
use crate::errors::{Failure, Kind};

/// What a role is to be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Read one's own rows and search them.
    Reader,
    /// Also connect accounts and import.
    User,
    /// Also grant, adopt and rotate keys.
    Admin,
}

impl Level {
    /// The functions of this level and those below, as a regular expression over their names.
    fn functions(self) -> &'static str {
        match self {
            Level::Reader => {
                "^(board_mean|nearest_pins|pinterest_(board_embedding|board_themes|classify|recommend|pins_like|boards_like|duplicates|embed_images?|embed_texts?|wait_for_(import|tracked)|export|gallery|doctor|workers))$"
            }
            Level::User => {
                "^(board_mean|nearest_pins|track_(change|stale)|pinterest_(?!grant$|adopt$|keys$|rotate_key$).*)$"
            }
            Level::Admin => "^(board_mean|nearest_pins|track_(change|stale)|pinterest_.*)$",
        }
    }
}

/// Grants the level to the role, with the caller's rights.
pub fn grant(role: &str, level: Level) -> Result<(), Failure> {
    let found = read("SELECT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = $1::name)", &[role.into()], |row| {
        row.get::<bool>(1)
    })?;
    if found != [true] {
        return Err(Failure::new(Kind::NotFound, format!("role \"{role}\" does not exist")));
    }
    let statements = read(
        "SELECT format('GRANT USAGE ON SCHEMA pinterest TO %I', $1) \
         UNION ALL SELECT format('GRANT SELECT ON pinterest.account, pinterest.board, pinterest.board_section, \
            pinterest.pin, pinterest.pin_image, pinterest.import, pinterest.import_outcome, pinterest.quota_ledger, \
            pinterest.model, pinterest.models, pinterest.imports, pinterest.import_report, pinterest.accounts, pinterest.quota, \
            pinterest.workers, pinterest.tracked_column, pinterest.tracked_row, pinterest.tracked, pinterest.tracked_failures TO %I', $1) \
         UNION ALL SELECT format('GRANT SELECT (app_id, owner, name, client_id, redirect_uri, tier, created_at, refused_in_row, pauses, \
            paused_until, cause) \
            ON pinterest.app TO %I', $1) \
         UNION ALL SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, $1) \
         FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
         JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
         WHERE e.extname = 'pg_pinterest' AND p.proname ~ $2",
        &[role.into(), level.functions().into()],
        |row| row.get::<String>(1),
    )?;
    for statement in statements {
        execute(&statement, &[])?;
    }
    Ok(())
}
