//! The library, the SQL objects, and the roles that can change them.

use super::Finding;
use crate::errors::Failure;
use crate::postgres::platform;
use crate::store::citus::{self, Node};
use crate::store::{distribution, extension, surroundings};

pub fn version() -> Result<Finding, Failure> {
    let library = env!("CARGO_PKG_VERSION");
    Ok(match extension::version()? {
        Some(sql) if sql == library => Finding::Good(format!("library and SQL objects are {library}")),
        Some(sql) => Finding::Bad(
            format!("the library is {library}, the SQL objects are {sql}; workers stay idle"),
            "ALTER EXTENSION pg_pinterest UPDATE, or install the library of that version.".to_owned(),
        ),
        None => Finding::Bad("the extension is not created in this database".to_owned(), String::new()),
    })
}

pub fn preloaded() -> Result<Finding, Failure> {
    Ok(if platform::is_preloaded() {
        Finding::Good("in shared_preload_libraries: workers start with the server".to_owned())
    } else {
        Finding::Note(
            "not in shared_preload_libraries: workers start with the first call that needs them, and not by themselves \
             after a restart of the server"
                .to_owned(),
        )
    })
}

pub fn pgvector() -> Result<Finding, Failure> {
    Ok(match extension::pgvector()? {
        Some(version) if version.has_known_faults() => Finding::Bad(
            format!(
                "{version}: before 0.8.2 a parallel build of an HNSW index can read and write beyond a buffer \
                 (CVE-2026-3172), before 0.8.3 a vacuum can damage an index"
            ),
            "Install pgvector 0.8.3 or newer, ALTER EXTENSION vector UPDATE, REINDEX the HNSW indexes. Until then build \
             them with SET max_parallel_maintenance_workers = 0."
                .to_owned(),
        ),
        Some(version) => Finding::Good(version.to_string()),
        None => Finding::Bad("not created in this database".to_owned(), String::new()),
    })
}

/// Whether other roles can create functions beside the extension's, which a call may then find instead.
pub fn schema() -> Result<Finding, Failure> {
    let Some(neighbours) = surroundings::neighbours()? else {
        return Ok(Finding::Note("the extension is not created in this database".to_owned()));
    };
    let schema = &neighbours.schema;
    if !neighbours.namesakes.is_empty() {
        return Ok(Finding::Bad(
            format!("other roles' functions have names of the extension's: {}", neighbours.namesakes.join(", ")),
            format!("Check and drop them. REVOKE CREATE ON SCHEMA {schema} from their owners."),
        ));
    }
    if neighbours.creators.is_empty() {
        return Ok(Finding::Good(format!("{schema}: only superusers can create functions there")));
    }
    Ok(Finding::Note(format!(
        "{schema}: {} can create functions there, and a function that fits a call better than the extension's is called \
         instead; REVOKE CREATE ON SCHEMA {schema} prevents that",
        neighbours.creators.join(", ")
    )))
}

/// Whether a role can act as the role that reads every account.
pub fn worker_role() -> Result<Finding, Failure> {
    let faults = surroundings::faults_of_worker_role()?;
    if faults.is_empty() {
        return Ok(Finding::Good(match surroundings::worker_may_log_in()? {
            false => "pinterest_worker: no role can act as it".to_owned(),
            true => "pinterest_worker: no role can act as it; nodes of Citus that pg_hba.conf admits log in as it"
                .to_owned(),
        }));
    }
    Ok(Finding::Bad(
        format!("pinterest_worker: {}", faults.join(", ")),
        "A role that can act as it can read every account and every sealed token. Revoke that.".to_owned(),
    ))
}

/// What this server is to a Citus cluster.
pub fn citus() -> Result<Finding, Failure> {
    Ok(match citus::node()? {
        Node::Alone => Finding::Good("not created in this database".to_owned()),
        Node::Coordinator => Finding::Good(format!(
            "this is the coordinator, where workers act; other active nodes: {}; boards and pins are {}",
            citus::other_nodes()?,
            match distribution::distributed_tables()? {
                0 => "local".to_owned(),
                _ => {
                    let (shards, nodes) = distribution::shards()?;
                    format!("in {shards} shards on {nodes} nodes")
                }
            }
        )),
        Node::Added(_) => Finding::Bad(
            "this is another node than the coordinator: workers are idle, and the tables of the extension are not used"
                .to_owned(),
            "Connect to the coordinator.".to_owned(),
        ),
    })
}
