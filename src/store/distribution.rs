//! The tables of boards and pins as tables that Citus distributes by account, and back.
//!
//! The tables keep their oids both ways, and so their policies, privileges, views, places in the extension and marks for
//! pg_dump. `undistribute_table()` of Citus does not: it makes other tables, and refuses those of an extension. Citus
//! forgets a table here as it forgets one that is dropped, by the functions of its event trigger for DROP TABLE.

use pgrx::pg_sys;

use super::citus::{self, Node};
use super::grants::Level;
use super::{affected, execute, params, read, read_one, read_optional, write};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::session_settings::GucLevel;

/// The tables, each after those that it refers to.
pub const TABLES: [&str; 4] = ["board", "board_section", "pin", "pin_image"];

/// Foreign keys of these tables to tables of the coordinator, which shards cannot have: table, name and definition.
const KEYS: [(&str, &str, &str); 2] = [
    ("board", "board_account_id_fkey", "FOREIGN KEY (account_id) REFERENCES pinterest.account ON DELETE CASCADE"),
    ("pin_image", "pin_image_model_id_fkey", "FOREIGN KEY (model_id) REFERENCES pinterest.model"),
];

/// The first version of Citus that this was tested with.
const OLDEST_CITUS: i32 = 13;

/// The number of these tables that are distributed.
pub fn distributed_tables() -> Result<i64, Failure> {
    if !citus::is_here() {
        return Ok(0);
    }
    read_one(
        "SELECT count(*) FROM pg_catalog.pg_dist_partition d JOIN pg_class c ON c.oid = d.logicalrelid \
         WHERE c.relnamespace = 'pinterest'::regnamespace AND c.relname = ANY ($1)",
        &params![TABLES.map(str::to_owned).to_vec()],
        |row| row.get(1),
    )
}

/// The number of shards of each table, and of nodes that have some.
pub fn shards() -> Result<(i64, i64), Failure> {
    read_one(
        "SELECT count(DISTINCT s.shardid), count(DISTINCT p.groupid) FROM pg_catalog.pg_dist_shard s \
         JOIN pg_catalog.pg_dist_placement p USING (shardid) WHERE s.logicalrelid = 'pinterest.board'::regclass",
        &[],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// Refuses what both ways require: Citus, on its coordinator, a superuser, and a transaction whose statements each see
/// what was committed before them.
pub fn requirements(what: &str) -> Result<(), Failure> {
    if !citus::is_here() {
        return Err(Failure::new(Kind::NotReady, "the extension citus is not created in this database").with_hint(
            "On one server all tables are local. docs/citus.md describes how boards and pins are distributed.",
        ));
    }
    if let Some(failure) = citus::elsewhere()? {
        return Err(failure);
    }
    // SAFETY: a catalog look-up inside a transaction.
    if !unsafe { pg_sys::superuser() } {
        return Err(Failure::new(Kind::NotYours, format!("permission denied to execute {what}"))
            .with_hint("Only superusers can: they own the tables, and see the rows of all roles."));
    }
    // SAFETY: a plain read of a process-wide variable.
    if unsafe { pg_sys::XactIsoLevel } > pg_sys::XACT_READ_COMMITTED as i32 {
        return Err(Failure::new(Kind::NotReady, format!("{what} requires the isolation level read committed"))
            .with_hint("With another level it would not see rows that were committed while it waited for its locks."));
    }
    let version: String =
        read_one("SELECT e.extversion FROM pg_extension e WHERE e.extname = 'citus'", &[], |row| row.get(1))?;
    let major = version.split('.').next().and_then(|digits| digits.parse::<i32>().ok());
    if major.is_none_or(|major| major < OLDEST_CITUS) {
        return Err(Failure::new(
            Kind::Unsupported,
            format!("{what} requires Citus {OLDEST_CITUS}, and this is {version}"),
        )
        .with_hint("Install a newer version of Citus on all nodes, and run ALTER EXTENSION citus UPDATE."));
    }
    Ok(())
}

/// An answer of a node, or the reason why it has none.
struct Answer {
    node: String,
    result: Result<String, String>,
}

/// Runs a statement that returns one value on every node besides the coordinator, as the current role. Each node runs it in
/// a transaction of its own.
fn on_nodes(statement: &str) -> Result<Vec<Answer>, Failure> {
    write(
        "SELECT format('%s:%s', r.nodename, r.nodeport), r.success, COALESCE(r.result, '') \
         FROM run_command_on_workers($1) AS r ORDER BY 1",
        &params![statement],
        |row| {
            let result: String = row.get(3)?;
            Ok(Answer { node: row.get(1)?, result: if row.get(2)? { Ok(result) } else { Err(result) } })
        },
    )
}

/// Refuses if a node has not this version of the extension, or does not let `pinterest_worker` in.
pub fn check_nodes() -> Result<(), Failure> {
    let ours = super::extension::version()?.unwrap_or_default();
    let versions = on_nodes("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pg_pinterest'")?;
    for Answer { node, result } in versions {
        let (failure, hint) = match result {
            Ok(version) if version == ours => continue,
            Ok(version) if version.is_empty() => (
                format!("node {node} does not have the extension pg_pinterest"),
                "Install its files there, and run on the node: SET citus.enable_ddl_propagation = off; CREATE EXTENSION \
                 pg_pinterest CASCADE.",
            ),
            Ok(version) => (
                format!("node {node} has version {version} of pg_pinterest, and the coordinator {ours}"),
                "Install the same version on all nodes, and run ALTER EXTENSION pg_pinterest UPDATE.",
            ),
            Err(reason) => (
                format!("node {node} cannot be reached: {reason}"),
                "SELECT * FROM citus_check_cluster_node_health() shows the connections.",
            ),
        };
        return Err(Failure::new(Kind::NotReady, failure).with_hint(hint));
    }
    // Citus connects to the nodes as the role whose statement it runs.
    let refused = as_worker(|| on_nodes("SELECT current_user"))?;
    if let Some(Answer { node, result: Err(reason) }) = refused.into_iter().find(|answer| answer.result.is_err()) {
        return Err(Failure::new(
            Kind::NotReady,
            format!("the coordinator cannot connect to node {node} as pinterest_worker"),
        )
        .with_detail(reason)
        .with_hint(
            "Let pg_hba.conf of every node admit the role from the nodes of the cluster only, and run SELECT \
             run_command_on_all_nodes('ALTER ROLE pinterest_worker LOGIN'): see docs/citus.md.",
        ));
    }
    Ok(())
}

/// The schema of the extension's functions, quoted.
fn extension_schema() -> Result<String, Failure> {
    read_one(
        "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
         WHERE e.extname = 'pg_pinterest'",
        &[],
        |row| row.get(1),
    )
}

/// Calls a function of the extension with these arguments on every node. Before anything is changed here: the nodes run it
/// in transactions of their own, which would wait for what this one has changed there.
fn call_on_nodes(function: &str, arguments: &[&str]) -> Result<(), Failure> {
    let call: String = read_one(
        "SELECT format('SELECT %s.%s(%s)', $1, $2, (SELECT string_agg(quote_literal(a), ', ' ORDER BY place) \
             FROM unnest($3::text[]) WITH ORDINALITY AS u(a, place)))",
        &params![extension_schema()?, function, arguments.iter().map(ToString::to_string).collect::<Vec<_>>()],
        |row| row.get(1),
    )?;
    match on_nodes(&call)?.into_iter().find(|answer| answer.result.is_err()) {
        Some(Answer { node, result: Err(reason) }) => {
            Err(Failure::new(Kind::NotReady, format!("{function}() failed on node {node}: {reason}"))
                .with_hint("Roles have to exist, and the caller's privileges have to be the same, on all nodes."))
        }
        _ => Ok(()),
    }
}

/// On another node than the coordinator, the distributed tables: the coordinator's GRANT and REVOKE reach them. If the node
/// changed their privileges as well, it would wait for a transaction that waits for the node.
pub fn left_to_coordinator() -> Result<Vec<pg_sys::Oid>, Failure> {
    match citus::node()? {
        Node::Alone | Node::Coordinator => Ok(Vec::new()),
        Node::Added(_) => read(
            "SELECT d.logicalrelid::oid FROM pg_catalog.pg_dist_partition d JOIN pg_class c ON c.oid = d.logicalrelid \
             WHERE c.relnamespace = 'pinterest'::regnamespace",
            &[],
            |row| row.get(1),
        ),
    }
}

/// Whether this is the coordinator of distributed boards and pins.
fn has_them_on_nodes() -> Result<bool, Failure> {
    Ok(citus::node()? == Node::Coordinator && distributed_tables()? > 0)
}

/// Where boards and pins are distributed, grants the level on the other nodes too: their shards are read there as the role.
pub fn grant_on_nodes(role: &str, level: Level) -> Result<(), Failure> {
    if has_them_on_nodes()? {
        call_on_nodes("pinterest_grant", &[role, level.name()])?;
    }
    Ok(())
}

/// Where boards and pins are distributed, revokes all levels on the other nodes too.
pub fn revoke_on_nodes(role: &str, cascade: bool) -> Result<(), Failure> {
    if has_them_on_nodes()? {
        call_on_nodes("pinterest_revoke", &[role, if cascade { "true" } else { "false" }])?;
    }
    Ok(())
}

/// Gives the roles of this list their levels on the other nodes.
pub fn give_levels_to(roles: &[(String, Level)]) -> Result<(), Failure> {
    roles.iter().try_for_each(|(role, level)| call_on_nodes("pinterest_grant", &[role, level.name()]))
}

/// Until it is dropped, statements are those of this cluster whatever the session has set, and notices of Citus about the
/// copies are left out: they advise to run what is run here.
#[must_use]
pub fn settings() -> GucLevel {
    let level = GucLevel::open();
    level.set(citus::ENABLE_DDL_PROPAGATION, c"on");
    level.set(c"citus.shard_replication_factor", c"1");
    level.set(c"client_min_messages", c"warning");
    level
}

/// On another node than the coordinator, statements that Citus allows on the coordinator alone are this node's own until
/// the level is dropped.
pub fn local_ddl() -> Result<Option<GucLevel>, Failure> {
    Ok(match citus::node()? {
        Node::Alone | Node::Coordinator => None,
        Node::Added(_) => {
            let level = GucLevel::open();
            level.set(citus::ENABLE_DDL_PROPAGATION, c"off");
            Some(level)
        }
    })
}

/// Locks the tables against all other sessions, and those that their foreign keys refer to. Imports under way wait, or are
/// queued again.
pub fn lock() -> Result<(), Failure> {
    // First those, as everywhere: who inserts boards has locked their account before.
    execute("LOCK TABLE pinterest.account, pinterest.model IN ACCESS EXCLUSIVE MODE", &[])?;
    execute(
        "LOCK TABLE pinterest.board, pinterest.board_section, pinterest.pin, pinterest.pin_image IN ACCESS EXCLUSIVE MODE",
        &[],
    )
}

/// Drops the foreign keys to tables of the coordinator.
pub fn drop_keys() -> Result<(), Failure> {
    KEYS.iter()
        .try_for_each(|(table, name, _)| execute(&format!("ALTER TABLE pinterest.{table} DROP CONSTRAINT {name}"), &[]))
}

/// Makes the foreign keys to tables of the coordinator, and checks all rows.
pub fn make_keys() -> Result<(), Failure> {
    KEYS.iter().try_for_each(|(table, name, definition)| {
        execute(&format!("ALTER TABLE pinterest.{table} ADD CONSTRAINT {name} {definition}"), &[])
    })
}

/// Distributes a table with its rows, in as many shards as given, or else as `citus.shard_count` states. The shards of an
/// account are on one node, those of the four tables together.
pub fn distribute(table: &str, shards: Option<i32>) -> Result<(), Failure> {
    let name = format!("pinterest.{table}");
    if table == TABLES[0] {
        return execute(
            "SELECT create_distributed_table($1::regclass, 'account_id', colocate_with => 'none', shard_count => $2)",
            &params![name, shards],
        );
    }
    execute(
        "SELECT create_distributed_table($1::regclass, 'account_id', colocate_with => 'pinterest.board')",
        &params![name],
    )
}

/// Deletes the rows that Citus has copied and left behind, where no statement sees them.
pub fn delete_local_rows() -> Result<(), Failure> {
    // The other tables follow by their foreign keys.
    execute("SELECT truncate_local_data_after_distributing_table('pinterest.board'::regclass)", &[])
}

/// The columns of a table that are stored as given.
fn columns(table: &str) -> Result<String, Failure> {
    read_one(
        "SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a \
         WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''",
        &params![format!("pinterest.{table}")],
        |row| row.get(1),
    )
}

/// Copies the rows of a distributed table to the coordinator, into a temporary table.
pub fn fetch(table: &str) -> Result<usize, Failure> {
    let columns = columns(table)?;
    execute(
        &format!(
            "CREATE TEMPORARY TABLE pinterest_fetched_{table} ON COMMIT DROP AS SELECT {columns} FROM pinterest.{table} \
             WITH NO DATA"
        ),
        &[],
    )?;
    affected(
        &format!("INSERT INTO pg_temp.pinterest_fetched_{table} ({columns}) SELECT {columns} FROM pinterest.{table}"),
        &[],
    )
}

/// Lets Citus forget a table and drop its shards. The table is empty after that, and local.
pub fn forget(table: &str) -> Result<(), Failure> {
    let name = params![format!("pinterest.{table}")];
    for function in [
        "master_remove_distributed_table_metadata_from_workers($1::regclass, '', '')",
        "citus_drop_all_shards($1::regclass, '', '', false)",
        "master_remove_partition_metadata($1::regclass, '', '')",
    ] {
        execute(&format!("SELECT {function}"), &name)?;
    }
    let trigger: Option<String> = read_optional(
        "SELECT quote_ident(t.tgname) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
         WHERE t.tgrelid = $1::regclass AND p.proname = 'citus_truncate_trigger'",
        &name,
        |row| row.get(1),
    )?;
    if let Some(trigger) = trigger {
        execute(&format!("DROP TRIGGER {trigger} ON pinterest.{table}"), &[])?;
    }
    // Otherwise DROP EXTENSION citus would require CASCADE, and delete the table.
    execute(
        "DELETE FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = $1::regclass AND d.deptype = 'n' \
         AND d.refclassid = 'pg_extension'::regclass \
         AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'citus')",
        &name,
    )
}

/// Moves the rows that [`fetch`] has copied into the table.
pub fn put_back(table: &str) -> Result<(), Failure> {
    let columns = columns(table)?;
    execute(
        &format!("INSERT INTO pinterest.{table} ({columns}) SELECT {columns} FROM pg_temp.pinterest_fetched_{table}"),
        &[],
    )?;
    execute(&format!("DROP TABLE pg_temp.pinterest_fetched_{table}"), &[])
}

/// Deletes the boards of accounts that do not exist, which a superuser may have deleted while no foreign key took their
/// boards along; their number.
pub fn delete_orphans() -> Result<usize, Failure> {
    let accounts = read(
        "WITH known AS MATERIALIZED (SELECT DISTINCT b.account_id FROM pinterest.board b) \
         SELECT k.account_id FROM known k \
         WHERE NOT EXISTS (SELECT FROM pinterest.account a WHERE a.account_id = k.account_id)",
        &[],
        |row| row.get::<i64>(1),
    )?;
    let mut deleted = 0;
    for account_id in accounts {
        deleted += affected("DELETE FROM pinterest.board b WHERE b.account_id = $1", &params![account_id])?;
    }
    Ok(deleted)
}

/// Gives rows that have come back to the owners of their accounts: a role that was dropped and created again in another
/// database of the coordinator is still the former one on the nodes.
pub fn correct_owners(table: &str) -> Result<(), Failure> {
    execute(
        &format!(
            "UPDATE pinterest.{table} r SET owner = a.owner FROM pinterest.account a \
             WHERE a.account_id = r.account_id AND r.owner OPERATOR(pinterest.<>) a.owner"
        ),
        &[],
    )
}

/// Roles that hold a level by a grant of their own, with the highest.
pub fn levels() -> Result<Vec<(String, Level)>, Failure> {
    let roles = read(
        "SELECT DISTINCT r.rolname::text FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a \
         JOIN pg_roles r ON r.oid = a.grantee WHERE n.nspname = 'pinterest' AND a.grantee <> n.nspowner \
         AND r.rolname <> 'pinterest_worker' AND r.rolname !~ '^pg_' ORDER BY 1",
        &[],
        |row| row.get::<String>(1),
    )?;
    let mut levels = Vec::new();
    for role in roles {
        if let Some(level) = super::grants::level_of(&role)? {
            levels.push((role, level));
        }
    }
    Ok(levels)
}
