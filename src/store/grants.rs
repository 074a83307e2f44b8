//! Rights on the extension's objects. Names are identifiers, so these statements are built, by the server's own
//! `format()` with `%I`.

use pgrx::pg_sys;

use super::{execute, read};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_role;

/// What a role is to be able to do. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Read one's own rows and search them.
    Reader,
    /// Also connect accounts and import.
    User,
    /// Also grant, adopt, rotate keys and pause workers; and grant what one has.
    Admin,
}

impl Level {
    /// As the argument of pinterest_grant() names it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Reader => "reader",
            Level::User => "user",
            Level::Admin => "admin",
        }
    }

    fn functions(self) -> Vec<&'static str> {
        FUNCTIONS.iter().filter(|(level, _)| *level <= self).flat_map(|(_, names)| names.iter().copied()).collect()
    }

    /// What goes with GRANT, and behind a privilege's name in a question for it.
    fn grant_option(self) -> &'static str {
        match self {
            Level::Reader | Level::User => "",
            Level::Admin => " WITH GRANT OPTION",
        }
    }
}

/// The functions of each level. A function that no level names nobody but a superuser can call; a test finds it.
const FUNCTIONS: [(Level, &[&str]); 3] = [
    (
        Level::Reader,
        &[
            "board_mean",
            "has_rights_of",
            "is_owner",
            "nearest_pins",
            "owner_is_gone",
            "owner_oid",
            "pinterest_await_import",
            "pinterest_await_tracked",
            "pinterest_board_embedding",
            "pinterest_board_themes",
            "pinterest_boards_like",
            "pinterest_classify",
            "pinterest_doctor",
            "pinterest_duplicates",
            "pinterest_embed_image",
            "pinterest_embed_images",
            "pinterest_embed_text",
            "pinterest_embed_texts",
            "pinterest_export",
            "pinterest_gallery",
            "pinterest_pins_like",
            "pinterest_recommend",
            "pinterest_wait_for_import",
            "pinterest_wait_for_tracked",
            "pinterest_workers",
            "role_owner_cmp",
            "role_owner_eq",
            "role_owner_ge",
            "role_owner_gt",
            "role_owner_hash",
            "role_owner_in",
            "role_owner_le",
            "role_owner_lt",
            "role_owner_ne",
            "role_owner_out",
            "role_owner_recv",
            "role_owner_send",
        ],
    ),
    (
        Level::User,
        &[
            "pinterest_authorize_url",
            "pinterest_cancel_import",
            "pinterest_connect",
            "pinterest_disconnect",
            "pinterest_import_board",
            "pinterest_list_boards",
            "pinterest_pause_account",
            "pinterest_purge_board",
            "pinterest_reassign",
            "pinterest_reembed_board",
            "pinterest_refresh",
            "pinterest_register_app",
            "pinterest_retry_failed",
            "pinterest_retry_tracked",
            "pinterest_store_token",
            "pinterest_sync_board",
            "pinterest_track",
            "pinterest_untrack",
            "track_change",
            "track_stale",
        ],
    ),
    (
        Level::Admin,
        &[
            "pinterest_adopt",
            "pinterest_grant",
            "pinterest_keys",
            "pinterest_pause_workers",
            "pinterest_resume_workers",
            "pinterest_revoke",
            "pinterest_rotate_key",
        ],
    ),
];

/// Tables and views of the schema that every level may read, within row-level security.
const RELATIONS: [&str; 19] = [
    "account",
    "accounts",
    "board",
    "board_section",
    "import",
    "import_outcome",
    "import_report",
    "imports",
    "model",
    "models",
    "pin",
    "pin_image",
    "quota",
    "quota_ledger",
    "tracked",
    "tracked_column",
    "tracked_failures",
    "tracked_row",
    "workers",
];

/// Columns of `pinterest.app` that every level may read: all but the secret.
const APP_COLUMNS: [&str; 19] = [
    "access_cause",
    "access_granted_at",
    "access_granted_by",
    "access_probe_at",
    "access_probe_until",
    "access_refusals",
    "access_refused_of",
    "access_refused_since",
    "app_id",
    "cause",
    "client_id",
    "created_at",
    "name",
    "owner",
    "paused_until",
    "pauses",
    "redirect_uri",
    "refused_in_row",
    "tier",
];

/// One privilege on one object.
struct Privilege {
    /// As GRANT and REVOKE write it: `EXECUTE ON FUNCTION …`.
    clause: String,
    /// May the caller grant it?
    grantable: bool,
    /// Does the role have it, with the right to grant it on where the level has that?
    held: bool,
}

/// The privileges of a level, as they stand for the caller and for a role.
fn privileges(role: pg_sys::Oid, level: Level) -> Result<Vec<Privilege>, Failure> {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    read(
        "SELECT 'USAGE ON SCHEMA pinterest', has_schema_privilege('pinterest', 'USAGE WITH GRANT OPTION'), \
             has_schema_privilege($1, 'pinterest', 'USAGE' || $2) \
         UNION ALL SELECT 'USAGE ON TYPE pinterest.role_owner', \
             has_type_privilege('pinterest.role_owner', 'USAGE WITH GRANT OPTION'), \
             has_type_privilege($1, 'pinterest.role_owner', 'USAGE' || $2) \
         UNION ALL SELECT format('SELECT ON pinterest.%I', c.relname), has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION'), \
             has_table_privilege($1, c.oid, 'SELECT' || $2) \
         FROM pg_class c WHERE c.relnamespace = 'pinterest'::regnamespace AND c.relname = ANY ($3) \
         UNION ALL SELECT format('SELECT (%I) ON pinterest.app', a.attname), \
             has_column_privilege(a.attrelid, a.attnum, 'SELECT WITH GRANT OPTION'), \
             has_column_privilege($1, a.attrelid, a.attnum, 'SELECT' || $2) \
         FROM pg_attribute a WHERE a.attrelid = 'pinterest.app'::regclass AND a.attname = ANY ($4) \
         UNION ALL SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure), \
             has_function_privilege(p.oid, 'EXECUTE WITH GRANT OPTION'), has_function_privilege($1, p.oid, 'EXECUTE' || $2) \
         FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
         JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
         WHERE e.extname = 'pg_pinterest' AND p.proname = ANY ($5)",
        &[
            role.into(),
            level.grant_option().into(),
            names(&RELATIONS).into(),
            names(&APP_COLUMNS).into(),
            names(&level.functions()).into(),
        ],
        |row| Ok(Privilege { clause: row.get(1)?, grantable: row.get(2)?, held: row.get(3)? }),
    )
}

/// Does the role administer the extension: is it a superuser, or may it grant levels?
pub fn is_admin(role: pg_sys::Oid) -> Result<bool, Failure> {
    let found = read(
        "SELECT COALESCE(bool_and(has_function_privilege($1, p.oid, 'EXECUTE WITH GRANT OPTION')), false) \
         FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
         JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
         WHERE e.extname = 'pg_pinterest' AND p.proname = 'pinterest_grant'",
        &[role.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found == [true])
}

/// The oid of a role, and its name as SQL writes it.
fn role(name: &str) -> Result<(pg_sys::Oid, String), Failure> {
    let found = read(
        "SELECT r.oid, quote_ident(r.rolname) FROM pg_roles r WHERE r.rolname = $1::name",
        &[name.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )?;
    found.into_iter().next().ok_or_else(|| Failure::new(Kind::NotFound, format!("role \"{name}\" does not exist")))
}

/// Grants the level to the role, with the caller's rights: all of it or nothing.
pub fn grant(name: &str, level: Level) -> Result<(), Failure> {
    let (oid, quoted) = role(name)?;
    let privileges = privileges(oid, level)?;
    // The server's own GRANT would warn, grant what it can and report success.
    if privileges.iter().any(|privilege| !privilege.grantable) {
        return Err(Failure::new(Kind::NotYours, format!("permission denied to grant level {}", level.name()))
            .with_hint("A superuser can grant it, or a role to which level admin was granted."));
    }
    for privilege in &privileges {
        execute(&format!("GRANT {} TO {quoted}{}", privilege.clause, level.grant_option()), &[])?;
    }
    match self::privileges(oid, level)?.into_iter().find(|privilege| !privilege.held) {
        None => Ok(()),
        Some(missing) => {
            Err(Failure::new(Kind::Internal, format!("role \"{name}\" does not hold {} after GRANT", missing.clause)))
        }
    }
}

/// Takes all rights on the extension's objects back from the role, whoever granted them: all or nothing. With `cascade`
/// also those that the role has granted to others.
pub fn revoke(name: &str, cascade: bool) -> Result<(), Failure> {
    let (oid, quoted) = role(name)?;
    let granted = granted_to(oid)?;
    if let Some(granted) = granted.iter().find(|granted| granted.is_owner) {
        return Err(Failure::new(
            Kind::BadArgument,
            format!("role \"{name}\" owns the extension or writes for it: {}", granted.clause),
        )
        .with_hint("Its rights are the extension's own."));
    }
    if let Some(granted) = granted.iter().find(|granted| !granted.revocable) {
        return Err(Failure::new(
            Kind::NotYours,
            format!("permission denied to revoke what \"{}\" granted to role \"{name}\"", granted.grantor_name),
        )
        .with_hint("A superuser can revoke it, or a member of the role that granted it."));
    }
    let behaviour = if cascade { "CASCADE" } else { "RESTRICT" };
    for granted in &granted {
        // A REVOKE takes back what the current role granted, and nothing else.
        as_role(granted.grantor, || {
            execute(&format!("REVOKE {} FROM {quoted} {behaviour}", granted.clause), &[]).map(drop)
        })?;
    }
    // What is left was granted by one more role meanwhile.
    match granted_to(oid)?.into_iter().next() {
        None => Ok(()),
        Some(left) => Err(Failure::new(Kind::NotReady, format!("role \"{name}\" still holds {}", left.clause))
            .with_hint("Call pinterest_revoke() again.")),
    }
}

/// A privilege that a role granted to another.
struct Granted {
    clause: String,
    grantor: pg_sys::Oid,
    grantor_name: String,
    /// May the caller act for the grantor?
    revocable: bool,
    /// The grantee owns the object, or is the role that writes.
    is_owner: bool,
}

/// All that a role was granted on members of the extension and on columns of them.
fn granted_to(role: pg_sys::Oid) -> Result<Vec<Granted>, Failure> {
    read(
        "WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e \
             ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
             WHERE e.extname = 'pg_pinterest' AND d.deptype = 'e'), \
         object (clause, owner, acl) AS ( \
             SELECT format('ON SCHEMA %I', n.nspname), n.nspowner, n.nspacl FROM pg_namespace n \
                 JOIN member m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid \
             UNION ALL SELECT format('ON TYPE %s', t.oid::regtype), t.typowner, t.typacl FROM pg_type t \
                 JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid WHERE t.typelem = 0 \
             UNION ALL SELECT format(CASE c.relkind WHEN 'S' THEN 'ON SEQUENCE %s' ELSE 'ON TABLE %s' END, c.oid::regclass), \
                 c.relowner, c.relacl FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid \
             UNION ALL SELECT format('(%I) ON TABLE %s', a.attname, c.oid::regclass), c.relowner, a.attacl \
                 FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid \
                 JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL \
             UNION ALL SELECT format('ON ROUTINE %s', p.oid::regprocedure), p.proowner, p.proacl FROM pg_proc p \
                 JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid) \
         SELECT DISTINCT concat_ws(' ', g.privilege_type, o.clause), g.grantor, pg_get_userbyid(g.grantor)::text, \
             pg_has_role(g.grantor, 'USAGE'), g.grantee = o.owner OR g.grantee = 'pinterest_worker'::regrole \
         FROM object o CROSS JOIN LATERAL aclexplode(o.acl) AS g WHERE g.grantee = $1 ORDER BY 1",
        &[role.into()],
        |row| {
            Ok(Granted {
                clause: row.get(1)?,
                grantor: row.get(2)?,
                grantor_name: row.get(3)?,
                revocable: row.get(4)?,
                is_owner: row.get(5)?,
            })
        },
    )
}
