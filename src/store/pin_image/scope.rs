//! Whose images an image is compared with.

use crate::errors::Failure;
use crate::store::distribution::distributed_tables;

/// The images that a search for equal ones reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of the account.
    Account,
    /// Those of all accounts: `pinterest.reuse_across_accounts`.
    All,
}

impl Scope {
    /// With `across`, all accounts.
    pub fn of(across: bool) -> Self {
        if across { Scope::All } else { Scope::Account }
    }

    /// The condition on `alias`, with the account as `$1`.
    ///
    /// `+ 0` keeps the planner from an index by account: it expects few images of an account that is newer than the
    /// statistics, and each search would read all of them. In shards, only an equality leads to the one of the account;
    /// those of other accounts are in other shards, which a statement for one account cannot read.
    pub fn condition(self, alias: &str) -> Result<String, Failure> {
        Ok(match self {
            _ if distributed_tables()? > 0 => format!("{alias}.account_id = $1"),
            Scope::Account => format!("{alias}.account_id + 0 = $1"),
            Scope::All => "true".to_owned(),
        })
    }
}
