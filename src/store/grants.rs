//! Privileges on the extension's objects. Which functions a level may call is listed in the view `pinterest.functions`
//! (sql/surface.sql); which tables it may read follows from their policies (sql/tables.sql).
//!
//! Names of roles and objects cannot be parameters, so the statements are built by the server's own `format()` with
//! `%I`.

use pgrx::pg_sys;

use super::{distribution, execute, is_true, read, read_optional};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_role;
use crate::postgres::majors;

/// A statement with the common table expression `member`: the members of the extension.
macro_rules! with_members {
    ($statement:literal) => {
        concat!(
            "WITH member AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e \
             ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
             WHERE e.extname = 'pg_pinterest' AND d.deptype = 'e') ",
            $statement
        )
    };
}

/// What a role may do. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Read and search its own rows.
    Reader,
    /// Also connect accounts, import and track.
    User,
    /// Also adopt copies, rotate keys, pause workers, and grant levels to other roles.
    Admin,
}

impl Level {
    /// Every level, from the lowest to the highest.
    pub const ALL: [Level; 3] = [Level::Reader, Level::User, Level::Admin];

    /// The name, as in the argument of `pinterest_grant()` and in `pinterest.functions`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Reader => "reader",
            Level::User => "user",
            Level::Admin => "admin",
        }
    }

    /// Appended to GRANT, and to a privilege's name in a test for it.
    fn grant_option(self) -> &'static str {
        match self {
            Level::Reader | Level::User => "",
            Level::Admin => " WITH GRANT OPTION",
        }
    }
}

/// One privilege on one object.
struct Privilege {
    /// As in GRANT and REVOKE: `EXECUTE ON ROUTINE …`.
    clause: String,
    /// May the caller grant it?
    grantable: bool,
    /// Does the role hold it, with grant option if the level includes that?
    held: bool,
}

/// The privileges of a level, and whether the caller may grant each and the role holds it.
///
/// Every level reads the views except those of statistics, which count the rows of all owners and are the admins', the tables
/// with a policy "own", and `pinterest.model`; of `pinterest.app` all columns but the secret. An admin may maintain the large
/// tables where Postgres has a privilege for that; it includes LOCK, so that no role gets it on the tables that an answer with
/// tokens is stored in. One that was made admin before, and so does not hold it, grants the rest.
fn privileges(role: pg_sys::Oid, level: Level) -> Result<Vec<Privilege>, Failure> {
    let levels: Vec<_> = Level::ALL.iter().filter(|included| **included <= level).map(|level| level.name()).collect();
    read(
        with_members!(
            "SELECT 'USAGE ON SCHEMA pinterest', has_schema_privilege('pinterest', 'USAGE WITH GRANT OPTION'), \
             has_schema_privilege($1, 'pinterest', 'USAGE' || $2) \
         UNION ALL SELECT 'USAGE ON TYPE pinterest.role_owner', \
             has_type_privilege('pinterest.role_owner', 'USAGE WITH GRANT OPTION'), \
             has_type_privilege($1, 'pinterest.role_owner', 'USAGE' || $2) \
         UNION ALL SELECT format('SELECT ON %s', c.oid::regclass), has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION'), \
             has_table_privilege($1, c.oid, 'SELECT' || $2) \
         FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid \
         WHERE c.oid <> ALL ($5) AND (c.relkind = 'v' AND (c.relname !~ '^stat_' OR 'admin' = ANY ($3)) OR c.oid = 'pinterest.model'::regclass OR c.oid <> 'pinterest.app'::regclass \
                AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'own')) \
         UNION ALL SELECT format('SELECT (%I) ON pinterest.app', a.attname), \
             has_column_privilege(a.attrelid, a.attnum, 'SELECT WITH GRANT OPTION'), \
             has_column_privilege($1, a.attrelid, a.attnum, 'SELECT' || $2) \
         FROM pg_attribute a WHERE a.attrelid = 'pinterest.app'::regclass AND a.attnum > 0 AND NOT a.attisdropped \
             AND a.attname <> 'client_secret' \
         UNION ALL SELECT format('EXECUTE ON ROUTINE %s', f.function), \
             has_function_privilege(f.function, 'EXECUTE WITH GRANT OPTION'), \
             has_function_privilege($1, f.function, 'EXECUTE' || $2) \
         FROM pinterest.functions f WHERE f.level = ANY ($3) \
         UNION ALL SELECT format('%s ON %s', $4::text, c.oid::regclass), true, has_table_privilege($1, c.oid, $4::text || $2) \
         FROM pg_class c \
         WHERE c.oid = ANY ('{pinterest.pin, pinterest.pin_image, pinterest.tracked_row}'::regclass[]) \
             AND c.oid <> ALL ($5) AND 'admin' = ANY ($3) AND has_table_privilege(c.oid, $4::text || ' WITH GRANT OPTION')"
        ),
        &[
            role.into(),
            level.grant_option().into(),
            levels.into(),
            majors::MAINTENANCE.into(),
            distribution::left_to_coordinator()?.into(),
        ],
        |row| Ok(Privilege { clause: row.get(1)?, grantable: row.get(2)?, held: row.get(3)? }),
    )
}

/// Does the role administer the extension: is it a superuser, or may it grant levels?
pub fn is_admin(role: pg_sys::Oid) -> Result<bool, Failure> {
    is_true(
        with_members!(
            "SELECT COALESCE(bool_and(has_function_privilege($1, p.oid, 'EXECUTE WITH GRANT OPTION')), false) \
             FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid \
             WHERE p.proname = 'pinterest_grant'"
        ),
        &[role.into()],
    )
}

/// The oid of a role, and its name, quoted if necessary.
fn role(name: &str) -> Result<(pg_sys::Oid, String), Failure> {
    let found = read_optional(
        "SELECT r.oid, quote_ident(r.rolname) FROM pg_roles r WHERE r.rolname = $1::name",
        &[name.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )?;
    found.ok_or_else(|| Failure::new(Kind::NotFound, format!("role \"{name}\" does not exist")))
}

/// The highest level of which the role holds all privileges.
pub fn level_of(name: &str) -> Result<Option<Level>, Failure> {
    let (oid, _) = role(name)?;
    for level in Level::ALL.into_iter().rev() {
        if privileges(oid, level)?.iter().all(|privilege| privilege.held) {
            return Ok(Some(level));
        }
    }
    Ok(None)
}

/// Grants the level to the role with the caller's rights: all of it or nothing.
///
/// # Errors
///
/// No such role; the caller may not grant a privilege of the level.
pub fn grant(name: &str, level: Level) -> Result<(), Failure> {
    let (oid, quoted) = role(name)?;
    let privileges = privileges(oid, level)?;
    // GRANT alone would warn, grant a part of it and report success.
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

/// Revokes all privileges on the extension's objects from the role, regardless of the grantor: all or nothing. With
/// `cascade` also those that the role has granted to others.
///
/// # Errors
///
/// No such role; the role owns the extension's objects; the caller may not revoke a privilege; without `cascade`, the
/// role has granted a privilege to others.
pub fn revoke(name: &str, cascade: bool) -> Result<(), Failure> {
    let (oid, quoted) = role(name)?;
    let granted = granted_to(oid)?;
    if let Some(granted) = granted.iter().find(|granted| granted.is_owner) {
        return Err(Failure::new(
            Kind::BadArgument,
            format!(
                "cannot revoke a privilege from role \"{name}\", which the extension depends on: {}",
                granted.clause
            ),
        )
        .with_hint("The extension needs these privileges."));
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
        // REVOKE revokes only what the current role has granted.
        as_role(granted.grantor, || {
            execute(&format!("REVOKE {} FROM {quoted} {behaviour}", granted.clause), &[]).map(drop)
        })?;
    }
    // Another session may have granted a privilege in the meantime.
    match granted_to(oid)?.into_iter().next() {
        None => Ok(()),
        Some(left) => Err(Failure::new(Kind::NotReady, format!("role \"{name}\" still holds {}", left.clause))
            .with_hint("Call pinterest_revoke() again.")),
    }
}

/// A privilege that a role has granted to another.
struct Granted {
    clause: String,
    grantor: pg_sys::Oid,
    grantor_name: String,
    /// Does the caller have the rights of the grantor?
    revocable: bool,
    /// The grantee owns the object, or is `pinterest_worker`.
    is_owner: bool,
}

/// All privileges that were granted to a role on members of the extension and their columns.
fn granted_to(role: pg_sys::Oid) -> Result<Vec<Granted>, Failure> {
    read(
        with_members!(
            "SELECT DISTINCT concat_ws(' ', g.privilege_type, o.clause), g.grantor, pg_get_userbyid(g.grantor)::text, \
             pg_has_role(g.grantor, 'USAGE'), g.grantee = o.owner OR g.grantee = 'pinterest_worker'::regrole \
         FROM ( \
             SELECT format('ON SCHEMA %I', n.nspname), n.nspowner, n.nspacl FROM pg_namespace n \
                 JOIN member m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid \
             UNION ALL SELECT format('ON TYPE %s', t.oid::regtype), t.typowner, t.typacl FROM pg_type t \
                 JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid WHERE t.typelem = 0 \
             UNION ALL SELECT format(CASE c.relkind WHEN 'S' THEN 'ON SEQUENCE %s' ELSE 'ON TABLE %s' END, c.oid::regclass), \
                 c.relowner, c.relacl FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid \
                 WHERE c.oid <> ALL ($2) \
             UNION ALL SELECT format('(%I) ON TABLE %s', a.attname, c.oid::regclass), c.relowner, a.attacl \
                 FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid \
                 JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL \
             UNION ALL SELECT format('ON ROUTINE %s', p.oid::regprocedure), p.proowner, p.proacl FROM pg_proc p \
                 JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid) AS o(clause, owner, acl) \
         CROSS JOIN LATERAL aclexplode(o.acl) AS g WHERE g.grantee = $1 ORDER BY 1"
        ),
        &[role.into(), distribution::left_to_coordinator()?.into()],
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
