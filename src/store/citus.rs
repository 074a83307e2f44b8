//! Citus, where a database has it: which node this is, and how Citus holds a table. The extension does not depend on
//! Citus; these statements run only where it is created.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::{params, read_one, read_optional};
use crate::errors::{Failure, Kind};
use crate::postgres::session_settings::current;

/// A setting of Citus, which its library defines.
pub const PROPAGATE_SET_COMMANDS: &CStr = c"citus.propagate_set_commands";

/// A setting of Citus: whether it repeats DDL on the other nodes.
pub const ENABLE_DDL_PROPAGATION: &CStr = c"citus.enable_ddl_propagation";

/// Whether this server has loaded the library of Citus, which has to be preloaded.
pub fn is_loaded() -> bool {
    current(PROPAGATE_SET_COMMANDS).is_some()
}

/// Whether Citus is created in this database. Most servers stop at the look-up of its setting.
pub fn is_here() -> bool {
    // SAFETY: a catalog look-up inside a transaction.
    is_loaded() && unsafe { pg_sys::get_extension_oid(c"citus".as_ptr(), true) } != pg_sys::InvalidOid
}

/// What a server is to its Citus cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The database has no Citus.
    Alone,
    /// The coordinator, to which the other nodes have been added.
    Coordinator,
    /// A node of this group that was added to a coordinator.
    Added(i32),
}

/// What this server is.
pub fn node() -> Result<Node, Failure> {
    if !is_here() {
        return Ok(Node::Alone);
    }
    let group: Option<i32> =
        read_optional("SELECT l.groupid FROM pg_catalog.pg_dist_local_group l", &[], |row| row.get(1))?;
    Ok(match group {
        None | Some(0) => Node::Coordinator,
        Some(group) => Node::Added(group),
    })
}

/// The reason not to act on a node that was added to a coordinator: the tables of the extension are those of the
/// coordinator, and no worker would find what is on another node.
pub fn elsewhere() -> Result<Option<Failure>, Failure> {
    let Node::Added(group) = node()? else { return Ok(None) };
    let message = "pg_pinterest works on the coordinator of a Citus cluster, and this is another node";
    Ok(Some(
        Failure::new(Kind::NotReady, message)
            .with_detail(format!("This node is of group {group}; the coordinator is of group 0."))
            .with_hint(
                "Call the function in a session on the coordinator. Queries of distributed and reference tables are given its \
                 result as a parameter, see docs/citus.md.",
            ),
    ))
}

/// How Citus holds a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In shards on the nodes.
    Distributed,
    /// In a copy on every node.
    Reference,
    /// On the coordinator, with an entry in Citus' catalogs.
    Managed,
}

/// How Citus holds the table; `None` for one that Citus does not know.
pub fn placement(table: pg_sys::Oid) -> Result<Option<Placement>, Failure> {
    if !is_here() {
        return Ok(None);
    }
    // Method n has no column of distribution: a reference table (t: written to all copies), one with a single shard that
    // is placed with others, or a table of the coordinator, which is placed with none.
    read_optional(
        "SELECT CASE WHEN d.partmethod = 'n' AND d.repmodel = 't' THEN 'r' \
             WHEN d.partmethod = 'n' AND d.colocationid = 0 THEN 'm' ELSE 'd' END \
         FROM pg_catalog.pg_dist_partition d WHERE d.logicalrelid = $1",
        &params![table],
        |row| {
            Ok(match row.get::<String>(1)?.as_str() {
                "r" => Placement::Reference,
                "m" => Placement::Managed,
                _ => Placement::Distributed,
            })
        },
    )
}

/// The number of active nodes besides the coordinator.
pub fn other_nodes() -> Result<i64, Failure> {
    read_one(
        "SELECT count(*) FROM pg_catalog.pg_dist_node n WHERE n.groupid <> 0 AND n.isactive AND n.noderole = 'primary'",
        &[],
        |row| row.get(1),
    )
}
