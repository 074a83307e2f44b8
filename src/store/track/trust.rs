//! Whether a worker may touch a table in its owner's name: not in the name of a role with power over the server while
//! code of other roles can run there, because their trigger functions would have that power. And not a published table
//! without a replica identity.
//!
//! An owner without such power runs the same risk in their own sessions, so those tables are not refused.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

use pgrx::{PgBuiltInOids, PgTryBuilder, pg_sys};

use super::owners_path;
use crate::errors::{Failure, Kind};
use crate::postgres::catalog_changes;
use crate::store::saved::Saved;
use crate::store::{params, user_table};

thread_local! {
    // Without publications there is nothing to check.
    static LEAVES: Saved = const { Saved::new(
        "SELECT t.oid FROM (SELECT $1 AS oid UNION SELECT p.relid::oid FROM pg_partition_tree($1) AS p \
         WHERE p.isleaf) AS t WHERE EXISTS (SELECT FROM pg_publication)",
        &[PgBuiltInOids::OIDOID],
    ) };
    static POWER: Saved = const { Saved::new(
        "SELECT o.oid, o.rolname::text, format('%I.%I', n.nspname, c.relname) FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner \
         WHERE c.oid = $1 AND EXISTS (SELECT FROM pg_roles r \
             WHERE (r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls OR r.rolname IN ( \
                 'pinterest_worker', 'pg_write_server_files', 'pg_read_server_files', 'pg_execute_server_program', \
                 'pg_read_all_data', 'pg_write_all_data', 'pg_create_subscription', 'pg_maintain', \
                 'pg_signal_backend')) \
             AND pg_has_role(o.oid, r.oid, 'MEMBER'))",
        &[PgBuiltInOids::OIDOID],
    ) };
    // Everything that the server may call: from the objects of the table and its partitions along pg_depend to the
    // server's own objects, and in the other direction the constraints of domains, the rules, triggers, defaults,
    // policies and indexes of relations, and the members of operator families. Calls in a body that is text are not
    // recorded: so no function or operator of another role may be in a schema where such a body searches. A foreign key
    // is checked as the owner of the referenced table. Owners are in pg_shdepend, except for the bootstrap superuser.
    static FOREIGN: Saved = const { Saved::new(
        "WITH RECURSIVE tables (oid) AS ( \
             SELECT $1 UNION SELECT i.inhrelid FROM tables t JOIN pg_inherits i ON i.inhparent = t.oid \
                 JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition), \
         reached (classid, objid) AS ( \
             (SELECT 'pg_class'::regclass::oid, t.oid FROM tables t \
             UNION SELECT 'pg_trigger'::regclass::oid, g.oid FROM pg_trigger g JOIN tables t ON g.tgrelid = t.oid \
             UNION SELECT 'pg_attrdef'::regclass::oid, a.oid FROM pg_attrdef a JOIN tables t ON a.adrelid = t.oid \
             UNION SELECT 'pg_statistic_ext'::regclass::oid, s.oid FROM pg_statistic_ext s \
             JOIN tables t ON s.stxrelid = t.oid) UNION SELECT n.classid, n.objid FROM reached r CROSS JOIN LATERAL ( \
                 SELECT d.refclassid AS classid, d.refobjid AS objid FROM pg_depend d \
                     WHERE d.classid = r.classid AND d.objid = r.objid AND d.deptype NOT IN ('e', 'x') \
                     AND d.refclassid NOT IN ('pg_namespace'::regclass, \
                         'pg_extension'::regclass) AND NOT (r.classid = 'pg_constraint'::regclass \
                         AND EXISTS (SELECT FROM pg_constraint f WHERE f.oid = r.objid AND f.contype = 'f')) \
                 UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k \
                     WHERE r.classid = 'pg_type'::regclass AND k.contypid = r.objid \
                 UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k \
                     WHERE r.classid = 'pg_class'::regclass AND k.conrelid = r.objid AND k.contype <> 'f' \
                 UNION ALL SELECT 'pg_rewrite'::regclass, w.oid FROM pg_rewrite w \
                     WHERE r.classid = 'pg_class'::regclass AND w.ev_class = r.objid \
                 UNION ALL SELECT 'pg_trigger'::regclass, g.oid FROM pg_trigger g \
                     WHERE r.classid = 'pg_class'::regclass AND g.tgrelid = r.objid AND NOT g.tgisinternal \
                 UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a \
                     WHERE r.classid = 'pg_class'::regclass AND a.adrelid = r.objid \
                 UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p \
                     WHERE r.classid = 'pg_class'::regclass AND p.polrelid = r.objid \
                 UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i \
                     WHERE r.classid = 'pg_class'::regclass AND i.indrelid = r.objid \
                 UNION ALL SELECT 'pg_proc'::regclass, m.amproc::oid FROM pg_amproc m \
                     WHERE r.classid = 'pg_opfamily'::regclass AND m.amprocfamily = r.objid \
                 UNION ALL SELECT 'pg_operator'::regclass, m.amopopr FROM pg_amop m \
                     WHERE r.classid = 'pg_opfamily'::regclass AND m.amopfamily = r.objid) AS n), \
         trusted (oid) AS ( \
             SELECT o.oid FROM pg_roles o WHERE o.rolsuper OR o.oid = $2 \
             UNION ALL SELECT g.oid FROM pg_roles g, pg_database d JOIN pg_roles o ON o.oid = d.datdba \
                 WHERE g.rolname = 'pg_database_owner' AND d.datname = current_database() AND (o.rolsuper \
                 OR o.oid = $2)), \
         found (place, what) AS ( \
             SELECT 1, format('%s belongs to \"%s\"', pg_describe_object(r.classid, r.objid, 0), \
             pg_get_userbyid(s.refobjid)) FROM reached r JOIN pg_shdepend s ON s.classid = r.classid \
             AND s.objid = r.objid AND s.objsubid = 0 JOIN pg_database d ON d.oid = s.dbid \
             WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' \
             AND s.refobjid NOT IN (SELECT t.oid FROM trusted t) \
             UNION ALL SELECT 2, format('%s may make triggers on %I.%I', \
                 CASE a.grantee WHEN 0 THEN 'PUBLIC' \
                 ELSE format('\"%s\"', pg_get_userbyid(a.grantee)) END, n.nspname, c.relname) \
             FROM tables t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace, \
                 aclexplode(c.relacl) AS a \
             WHERE a.privilege_type = 'TRIGGER' AND a.grantee NOT IN (SELECT t.oid FROM trusted t) \
             UNION ALL SELECT 3, format('%s may create functions in the schema %I, \
                 where functions of \"%s\" search for functions', \
                 CASE a.grantee WHEN 0 THEN 'PUBLIC' \
                 ELSE format('\"%s\"', pg_get_userbyid(a.grantee)) END, n.nspname, pg_get_userbyid($2)) \
             FROM pg_namespace n, aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) AS a \
             WHERE n.nspname = ANY ($3) AND a.privilege_type = 'CREATE' AND a.grantee NOT IN (SELECT t.oid \
             FROM trusted t) AND EXISTS (SELECT FROM reached r JOIN pg_proc p ON \
                 p.oid = r.objid JOIN pg_language l ON l.oid = p.prolang \
                 WHERE r.classid = 'pg_proc'::regclass AND l.lanname NOT IN ('c', 'internal')) \
             UNION ALL SELECT 4, format('%s belongs to \"%s\" and is where functions of \"%s\" search for functions', \
                 pg_describe_object(c.classid, c.objid, 0), pg_get_userbyid(c.owner), pg_get_userbyid($2)) \
             FROM pg_namespace n JOIN ( \
                 SELECT 'pg_proc'::regclass::oid, p.oid, p.pronamespace, p.proowner FROM pg_proc p \
                 UNION ALL SELECT 'pg_operator'::regclass::oid, o.oid, o.oprnamespace, o.oprowner FROM pg_operator o \
             ) AS c (classid, objid, namespace, owner) ON c.namespace = n.oid \
             WHERE n.nspname = ANY ($3) AND c.owner NOT IN (SELECT t.oid FROM trusted t) \
             AND EXISTS (SELECT FROM reached r JOIN pg_proc p ON p.oid = r.objid \
                 JOIN pg_language l ON l.oid = p.prolang \
                 WHERE r.classid = 'pg_proc'::regclass AND l.lanname NOT IN ('c', 'internal') \
                 AND p.prosqlbody IS NULL)) \
         SELECT f.what FROM found f ORDER BY f.place, f.what LIMIT 1",
        &[PgBuiltInOids::OIDOID, PgBuiltInOids::OIDOID, PgBuiltInOids::TEXTARRAYOID],
    ) };
    /// Tables that passed the check, each with the `catalog_changes` count at that time.
    static FOUND_GOOD: RefCell<Vec<(pg_sys::Oid, u64)>> = const { RefCell::new(Vec::new()) };
}

/// Maximum number of stored tables.
const REMEMBERED: usize = 64;

/// Refuses a table that no worker may touch in its owner's name. Requires a lock on the table, which prevents changes
/// of its dependencies.
///
/// # Errors
/// [`Kind::NotReady`], with a hint.
pub fn check(table: pg_sys::Oid) -> Result<(), Failure> {
    let changes = catalog_changes::count();
    if FOUND_GOOD.with_borrow(|good| good.contains(&(table, changes))) {
        return Ok(());
    }
    refuse_foreign_code(table)?;
    refuse_unpublishable(table)?;
    FOUND_GOOD.with_borrow_mut(|good| {
        good.retain(|&(_, then)| then == changes);
        if good.len() < REMEMBERED {
            good.push((table, changes));
        }
    });
    Ok(())
}

/// A published table without a replica identity takes no UPDATE, and so no embedding.
fn refuse_unpublishable(table: pg_sys::Oid) -> Result<(), Failure> {
    let leaves = LEAVES.with(|saved| saved.read(&params![table], |row| row.get::<pg_sys::Oid>(1)))?;
    leaves.into_iter().try_for_each(|leaf| {
        PgTryBuilder::new(AssertUnwindSafe(|| {
            // SAFETY: a lock that waits as a statement does, none on what is gone; the relation is closed again, after
            // an ERROR by the end of the transaction. The callee looks and changes nothing.
            unsafe {
                let relation = pg_sys::try_relation_open(leaf, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
                if !relation.is_null() {
                    pg_sys::CheckCmdReplicaIdentity(relation, pg_sys::CmdType::CMD_UPDATE);
                    pg_sys::relation_close(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
                }
            }
            Ok(())
        }))
        .catch_others(|error| {
            Err(Failure::of_error(Kind::NotReady, error).with_hint(
                "Use ALTER TABLE … REPLICA IDENTITY USING INDEX, or FULL, or a publication without updates; its row \
                 filter and column list may only use columns of the replica identity.",
            ))
        })
        .execute()
    })
}

fn refuse_foreign_code(table: pg_sys::Oid) -> Result<(), Failure> {
    let powerful = POWER.with(|saved| {
        saved
            .read(&params![table], |row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<String>(2)?, row.get::<String>(3)?)))
    })?;
    let Some((owner, name, quoted)) = powerful.into_iter().next() else { return Ok(()) };
    let path = owners_path::of(owner)?.to_string_lossy().into_owned();
    let mut schemas = user_table::identifiers(&path, "search_path").unwrap_or_default();
    if schemas.iter().any(|schema| schema == "$user") {
        schemas.push(name.clone());
    }
    let found = FOREIGN.with(|saved| saved.read(&params![table, owner, schemas], |row| row.get::<String>(1)))?;
    let Some(what) = found.into_iter().next() else { return Ok(()) };
    Err(Failure::new(
        Kind::NotReady,
        format!(
            "{quoted} belongs to \"{name}\", a role with power over the server, but code of other roles can run there: \
             {what}"
        ),
    )
    .with_hint(format!(
        "Give the table to a role without such power (ALTER TABLE {quoted} OWNER TO …), \
         or remove the code of other roles."
    )))
}
