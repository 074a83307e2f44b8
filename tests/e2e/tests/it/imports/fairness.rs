//! Accounts that share a budget and a worker take turns.

use sandbox::config::Tier;

use crate::support::prelude::*;
use crate::support::worlds::{asked, queue_for, two_people};

#[test]
fn imports_complete_with_a_budget_far_below_their_requests() -> Result<()> {
    let window = Duration::from_secs(2);
    let (world, mut client, accounts) = two_people(Tier::Custom { limit: 6, window, shared: true }, 2)?;
    let mut imports = Vec::new();
    for (account, name) in accounts.into_iter().zip(["Amy", "Ben"]) {
        imports.push(queue_for(&mut client, account, &format!("{name} 1"))?);
        imports.push(queue_for(&mut client, account, &format!("{name} 2"))?);
    }
    for import in imports {
        assert_eq!(complete(&mut client, import)?.embedded, 5);
    }
    // Four boards need one request for sections and three for pages each, besides those that find them: at least three
    // windows. The sandbox rounds the time to the next window down, so that one request per import may be too early.
    let refused = world.sandbox.requests().latest().iter().filter(|request| request.status == Some(429)).count();
    let windows = asked(&world) as usize / 6 + 1;
    assert!(refused <= 4 * windows, "{refused} of {} requests were refused", asked(&world));
    Ok(())
}

#[test]
fn the_account_with_the_fewest_running_imports_is_next() -> Result<()> {
    const OTHERS: &str = "the others";
    let (world, mut client, [amy, ben]) = two_people(Tier::Standard, 6)?;
    world.sandbox.faults().add(Rule::on(Kind::Boards, Fault::Hold { gate: GATE.into() }).once());
    world.sandbox.faults().add(Rule::on(Kind::Boards, Fault::Hold { gate: OTHERS.into() }).skip(1));
    let amys =
        (1..=6).map(|number| queue_for(&mut client, amy, &format!("Amy {number}"))).collect::<Result<Vec<_>>>()?;
    assert!(world.sandbox.requests().wait_for(Kind::Boards, 4, SOON), "four imports run at once");
    // The last import in the queue is its account's only one.
    let bens = queue_for(&mut client, ben, "Ben 1")?;
    // One place becomes free while three of the other account's imports run and two wait.
    world.sandbox.faults().release(GATE);
    until_row(&mut client, bens, "its turn", |row| row.state == "running")?;
    let waiting = "SELECT count(*) FROM pinterest.imports WHERE import_id = ANY ($1) AND started_at IS NULL";
    assert_eq!(client.value_with::<i64>(waiting, &[&amys])?, 2, "the other account's imports wait");
    world.sandbox.faults().release(OTHERS);
    for import in amys.iter().chain([&bens]) {
        until_row(&mut client, *import, "the import's end", |row| row.state == "completed")?;
    }
    Ok(())
}
