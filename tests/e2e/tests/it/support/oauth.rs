//! Helpers of the tests of tokens: the sandbox's refreshes, the state of accounts, and crashes.

use e2e::process::Process;
use e2e::world;
use sandbox::config::TokenRules;

use crate::support::prelude::*;

/// The one account of most worlds.
pub const USER: &str = "example_user";
/// `backend_type` of the process that refreshes and imports.
pub const WORKER: &str = "pg_pinterest worker";

/// A world whose sandbox has these token rules.
pub fn with_tokens(tokens: TokenRules) -> world::Builder {
    World::builder().sandbox(Config { tokens, ..quick_board("Beach", 3) })
}

/// The number of refreshes that the sandbox has answered, with tokens or an error.
pub fn refreshes(world: &World) -> usize {
    let asked = world.sandbox.requests().latest();
    asked.iter().filter(|request| request.grant_type.as_deref() == Some("refresh_token")).count()
}

/// Token requests that have arrived at the sandbox, answered or not.
pub fn arrived(world: &World) -> u64 {
    world.sandbox.requests().count(Kind::Token)
}

/// Status and cause of the account with the highest id.
pub fn status(client: &mut Client) -> Result<String> {
    client.value("SELECT concat_ws(': ', status, cause) FROM pinterest.accounts ORDER BY account_id DESC LIMIT 1")
}

/// Refreshes an account's tokens now; `None` means the role's only account.
pub fn refresh(client: &mut Client, account: Option<i64>) -> Result<(), postgres::Error> {
    client.query_one("SELECT pinterest_refresh($1)::text", &[&account]).map(drop)
}

/// The generation of an account's tokens.
pub fn generation(client: &mut Client, account: i64) -> Result<i64> {
    client.value_with("SELECT generation FROM pinterest.token WHERE account_id = $1", &[&account])
}

/// Waits until an account's status and cause begin with `wanted`.
pub fn until_status(client: &mut Client, account: i64, wanted: &str) -> Result<String> {
    let mut last = String::new();
    let found = wait_for(wanted, SOON, || {
        let row = client.query_one(
            "SELECT concat_ws(': ', status, cause) FROM pinterest.accounts WHERE account_id = $1",
            &[&account],
        )?;
        last = row.get(0);
        Ok(last.starts_with(wanted).then(|| last.clone()))
    });
    found.map_err(|error| error.context(last))
}

/// Kills the worker, which ends every session. Returns a session of the restarted server.
pub fn kill_worker(world: &World) -> Result<Client> {
    kill_one(world, WORKER)
}

/// [`kill_worker`] for another kind of worker.
pub fn kill_one(world: &World, kind: &str) -> Result<Client> {
    crash(world, world.cluster.wait_for_backend(kind, SOON)?.pid)
}

/// Kills a server process and waits until the server has restarted. Returns a new session.
pub fn crash(world: &World, pid: i32) -> Result<Client> {
    let mut bystander = world.connect()?;
    world.cluster.kill9(pid)?;
    until("the server to end its sessions", || Ok(bystander.simple_query("").is_err()))?;
    wait_for("the server to restart", SOON, || Ok(world.connect().ok()))
}

/// Ends the worker and starts another, which checks for due work.
pub fn restart_worker(world: &World, client: &mut Client) -> Result<()> {
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    client.query_one("SELECT pg_terminate_backend($1::int4)", &[&worker.pid])?;
    until("the worker to end", || Ok(Process::get(worker.pid).is_none()))?;
    // Starts a worker. With only one key it has nothing to rotate.
    client.query_one("SELECT pinterest_rotate_key()", &[])?;
    Ok(())
}

/// One row of pinterest_doctor(): its status, and its detail with its hint.
pub fn doctor(client: &mut Client, check: &str) -> Result<(String, String)> {
    client.pair("SELECT status, concat_ws(' ', detail, hint) FROM pinterest_doctor() WHERE check_name = $1", &[&check])
}

/// Stores a new grant of the sandbox under this username; returns the account's id.
pub fn store_grant(world: &World, client: &mut Client, username: &str) -> Result<i64> {
    let grant = world.sandbox.issue_grant(USER)?;
    let row = client.query_one(
        "SELECT pinterest_store_token($1, $2, app => 'sandbox', username => $3)",
        &[&grant.access_token, &grant.refresh_token, &username],
    )?;
    Ok(row.get(0))
}
