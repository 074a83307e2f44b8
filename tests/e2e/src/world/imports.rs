//! Imports as the view `pinterest.imports` shows them.

use anyhow::Context;
use postgres::Client;

use crate::Result;

/// One import: what the view says once it has come to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its id.
    pub id: i64,
    /// State that `pinterest_wait_for_import` returned.
    pub state: String,
    /// Why it failed or was cut short, if it was.
    pub reason: Option<String>,
}

impl Import {
    /// Queues an import and returns its id.
    pub fn start(client: &mut Client, board: &str) -> Result<i64> {
        let row = client
            .query_one("SELECT pinterest_import_board($1)", &[&board])
            .with_context(|| format!("pinterest_import_board({board:?})"))?;
        Ok(row.get(0))
    }

    /// Waits for the end of an import, two minutes at most.
    pub fn wait(client: &mut Client, id: i64) -> Result<Self> {
        let row = client
            .query_one(
                "SELECT waited.state, imports.reason
                   FROM pinterest_wait_for_import($1, interval '2 minutes') AS waited (state)
                   LEFT JOIN pinterest.imports ON imports.import_id = $1",
                &[&id],
            )
            .with_context(|| format!("pinterest_wait_for_import({id})"))?;
        Ok(Self { id, state: row.get(0), reason: row.get(1) })
    }
}
