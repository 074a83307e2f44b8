//! Lines in the server's log. Each begins with the library's name and ends with what it is about, in one form that can be searched:
//! `[import=7 account=3 run=2]`. They contain no titles of boards and no names of users; a message that could is replaced by its
//! SQLSTATE, and the views have it. docs/statistics.md lists the forms.

use std::fmt;

use crate::postgres::platform;
use crate::store::import::ClaimedImport;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A run of an import. The run is the number of its claim, which also fences its results.
    Import {
        /// As in pinterest.imports.
        import_id: i64,
        /// As in pinterest.accounts.
        account_id: i64,
        /// From 1.
        run: i64,
    },
    /// An account.
    Account(i64),
    /// An app.
    App(i64),
    /// A tracked column.
    Column(i64),
    /// The process id of the embedder, whose own lines begin with it.
    Embedder(u32),
    /// This process' database, by oid.
    Database,
    /// The whole server.
    Server,
}

impl About {
    /// A run of an import.
    pub fn import(claimed: &ClaimedImport) -> Self {
        About::Import { import_id: claimed.import_id, account_id: claimed.account_id, run: claimed.fence }
    }
}

impl fmt::Display for About {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::Import { import_id, account_id, run } => {
                write!(formatter, " [import={import_id} account={account_id} run={run}]")
            }
            About::Account(id) => write!(formatter, " [account={id}]"),
            About::App(id) => write!(formatter, " [app={id}]"),
            About::Column(id) => write!(formatter, " [column={id}]"),
            About::Embedder(id) => write!(formatter, " [embedder={id}]"),
            About::Database => write!(formatter, " [database={}]", platform::current_database().to_u32()),
            About::Server => Ok(()),
        }
    }
}

/// Writes a line. On the main thread.
pub fn line(about: About, text: impl fmt::Display) {
    pgrx::log!("pg_pinterest: {text}{about}");
}
