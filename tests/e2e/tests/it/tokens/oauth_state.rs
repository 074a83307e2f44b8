//! The state of an authorization is valid once, for the role that began it, for ten minutes; all refusals are the same.

use std::sync::Barrier;

use crate::support::canaries::Canary;
use crate::support::prelude::*;

const PARALLEL: usize = 50;
const CONNECT: &str = "SELECT pinterest_connect($1, $2)";

#[test]
fn only_one_of_many_parallel_uses_succeeds() -> Result<()> {
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 1)).setting("max_connections", "80").start()?.with_session()?;
    let url: String = client.value("SELECT pinterest_authorize_url()")?;
    let redirect = world.browser()?.authorize(&url)?;
    let before = world.sandbox.requests().count(Kind::Token);
    let start = Barrier::new(PARALLEL);
    let clients = (0..PARALLEL).map(|_| world.connect()).collect::<Result<Vec<_>>>()?;
    let results: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let (start, redirect) = (&start, &redirect);
                scope.spawn(move || {
                    start.wait();
                    client.query_one(CONNECT, &[&redirect.code, &redirect.state])
                })
            })
            .collect();
        callers
            .into_iter()
            .map(|caller| match caller.join() {
                Ok(result) => result,
                Err(_) => panic!("a caller panicked"),
            })
            .collect()
    });
    let (successes, refusals): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(successes.len(), 1);
    let refusals: Vec<_> = refusals.into_iter().map(refusal).collect();
    let first = &refusals[0];
    assert_eq!(first.code, "28000", "{first:?}");
    assert!(refusals.iter().all(|one| (&one.code, &one.message) == (&first.code, &first.message)), "{refusals:#?}");
    assert_eq!(world.sandbox.requests().count(Kind::Token) - before, 1, "the code was sent once");
    Ok(())
}

#[test]
fn used_expired_foreign_and_unknown_states_are_refused_alike() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    world.cluster.create_role("other")?;
    client.batch_execute("SELECT pinterest_grant('other', 'user')")?;
    let mut other = world.cluster.connect_as("other")?;
    let mut begin = || -> Result<_> {
        let url: String = client.value("SELECT pinterest_authorize_url()")?;
        world.browser()?.authorize(&url)
    };
    let (used, expired, foreign) = (begin()?, begin()?, begin()?);
    client.query_one(CONNECT, &[&used.code, &used.state])?;
    client.execute(
        "UPDATE pinterest.oauth_state SET expires_at = clock_timestamp() WHERE state_hash = sha256($1)",
        &[&expired.state.as_bytes()],
    )?;
    let asked = world.sandbox.requests().total();
    let refusals = [
        refusal(client.query_one(CONNECT, &[&used.code, &used.state])),
        refusal(client.query_one(CONNECT, &[&expired.code, &expired.state])),
        refusal(other.query_one(CONNECT, &[&foreign.code, &foreign.state])),
        refusal(client.query_one(CONNECT, &[&foreign.code, &"A".repeat(foreign.state.len())])),
        refusal(client.query_one(CONNECT, &[&foreign.code, &"malformed"])),
    ];
    let first = format!("{:?}", refusals[0]);
    assert!(refusals.iter().all(|one| format!("{one:?}") == first), "{refusals:#?}");
    assert_eq!(refusals[0].code, "28000");
    assert_eq!(world.sandbox.requests().total(), asked, "no request was made");
    // The other role's attempt has not spent the state.
    client.query_one(CONNECT, &[&foreign.code, &foreign.state])?;
    assert_eq!(
        client.value::<i64>("SELECT count(*) FROM pinterest.oauth_state WHERE expires_at > clock_timestamp()")?,
        0
    );
    Ok(())
}

#[test]
fn states_are_stored_as_hashes_only() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    let url: String = client.value("SELECT pinterest_authorize_url()")?;
    let redirect = world.browser()?.authorize(&url)?;
    let rows: String = client.value("SELECT string_agg(s::text, ' ') FROM pinterest.oauth_state AS s")?;
    assert!(!Canary::new("state", redirect.state).is_in(rows.as_bytes()), "{rows}");
    Ok(())
}
