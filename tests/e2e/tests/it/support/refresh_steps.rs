//! The steps at which tests interrupt a refresh, and the state required afterwards.

use std::thread::JoinHandle;

use sandbox::config::{OldRefreshToken, TokenRules};

use crate::support::oauth::{USER, arrived, generation, refresh, status, until_status, with_tokens};
use crate::support::prelude::*;

/// A session that waits for a refresh.
pub type Session = JoinHandle<Result<(), postgres::Error>>;

/// Time limit from the restart of the server to the connected account.
pub const RECOVERY: Duration = Duration::from_secs(10);
/// A world in which a used refresh token is invalid at once or, with `grace`, after a while.
pub fn world(grace: bool) -> Result<World> {
    let alive = OldRefreshToken::AliveFor(Duration::from_secs(600));
    let old_refresh_token = if grace { alive } else { OldRefreshToken::Dead };
    with_tokens(TokenRules { old_refresh_token, ..TokenRules::default() }).start()
}

/// Makes the account's tokens due without waking a worker.
pub fn due(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?)
}

/// Makes the account's tokens due in a transaction that ends when a lock on their table is queued: no worker reads them
/// in between. Returns the session that has the lock.
pub fn due_and_locked(world: &World, client: &mut Client) -> Result<Client> {
    client.batch_execute("BEGIN; UPDATE pinterest.token SET refresh_after = clock_timestamp()")?;
    let mut blocker = world.connect()?;
    let pid: i32 = blocker.value("SELECT pg_backend_pid()")?;
    let locking = std::thread::spawn(move || {
        blocker.batch_execute("BEGIN; LOCK TABLE pinterest.token IN SHARE ROW EXCLUSIVE MODE").map(|()| blocker)
    });
    until("the lock to be requested", || {
        let asked: bool =
            client.value_with("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)", &[&pid])?;
        Ok(asked)
    })?;
    // Every later request waits behind the lock.
    client.batch_execute("COMMIT")?;
    let Ok(blocker) = locking.join() else { panic!("the session that locks panicked") };
    Ok(blocker?)
}

/// A session that requests a refresh and ends with the server.
pub fn wanted(world: &World) -> Result<Session> {
    let mut client = world.connect()?;
    Ok(std::thread::spawn(move || refresh(&mut client, None)))
}

/// A session that requests a refresh, and another that locks the tokens' row before the response can be stored.
pub fn wanted_and_locked(world: &World) -> Result<(Session, Client)> {
    let before = arrived(world);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "answer".into() }).once());
    let session = wanted(world)?;
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN; SELECT FROM pinterest.token FOR UPDATE")?;
    world.sandbox.faults().release("answer");
    Ok((session, blocker))
}

/// Waits until the worker waits for a lock.
pub fn until_blocked(client: &mut Client) -> Result<()> {
    client.until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker' AND wait_event_type = 'Lock')", true)
}

/// Waits until the sandbox has rotated the refresh token.
pub fn until_rotated(world: &World, before: &Option<String>) -> Result<()> {
    until("the sandbox to rotate the token", || Ok(world.sandbox.valid_refresh_token(USER) != *before))
}

/// Requires that the account is soon connected with valid tokens of a later generation than `before`. A crash may skip
/// generations.
pub fn recovered(world: &World, client: &mut Client, back: Instant, before: i64) -> Result<()> {
    let found = wait_for("a refresh", SOON, || {
        let found = generation(client, world.account())?;
        Ok((found > before).then_some(found))
    })?;
    assert!(back.elapsed() < RECOVERY, "it took {:?}", back.elapsed());
    // The status is recorded after the tokens.
    until_status(client, world.account(), "connected")?;
    refresh(client, None)?;
    assert!(generation(client, world.account())? > found);
    assert_eq!(status(client)?, "connected");
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    Ok(())
}
