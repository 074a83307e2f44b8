//! More than a year of refreshes against the sandbox, with the real policy and client, a ledger in memory in place of
//! the database, a simulated clock, and all kinds of failures.

mod ledger;
mod mishap;
mod races;
mod single_faults;
mod world;
mod year;
