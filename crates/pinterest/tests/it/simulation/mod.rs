//! A year and more of refreshes against the sandbox: the real policy and client, a ledger in memory in place of the
//! database, a clock that jumps, and everything that can go wrong.

mod ledger;
mod mishap;
mod races;
mod single_faults;
mod world;
mod year;
