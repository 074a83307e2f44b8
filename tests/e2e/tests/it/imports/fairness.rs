//! Accounts that share a budget and a worker take turns.

use sandbox::config::Tier;

use crate::support::prelude::*;
use crate::support::worlds::{asked, queue_for, two_people};

#[test]
fn a_budget_far_smaller_than_the_work_brings_all_of_it_in() -> Result<()> {
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
    // Sections once and three pages for each of four boards, besides finding them: three windows at least. The sandbox
    // rounds the time to the next one down, so that one request may come too early for each.
    let refused = world.sandbox.requests().latest().iter().filter(|request| request.status == Some(429)).count();
    let windows = asked(&world) as usize / 6 + 1;
    assert!(refused <= 4 * windows, "{refused} of {} requests were made in vain", asked(&world));
    Ok(())
}

#[test]
fn the_next_place_goes_to_the_account_with_the_fewest() -> Result<()> {
    const OTHERS: &str = "the others";
    let (world, mut client, [amy, ben]) = two_people(Tier::Standard, 6)?;
    world.sandbox.faults().add(Rule::on(Kind::Boards, Fault::Hold { gate: GATE.into() }).once());
    world.sandbox.faults().add(Rule::on(Kind::Boards, Fault::Hold { gate: OTHERS.into() }).skip(1));
    let amys =
        (1..=6).map(|number| queue_for(&mut client, amy, &format!("Amy {number}"))).collect::<Result<Vec<_>>>()?;
    assert!(world.sandbox.requests().wait_for(Kind::Boards, 4, SOON), "four are worked on at once");
    // The last in the queue, and its account's only one.
    let bens = queue_for(&mut client, ben, "Ben 1")?;
    // One place becomes free, while three of the other account's imports are under way and two wait.
    world.sandbox.faults().release(GATE);
    until_row(&mut client, bens, "its turn", |row| row.state == "running")?;
    let waiting = "SELECT count(*) FROM pinterest.imports WHERE import_id = ANY ($1) AND started_at IS NULL";
    assert_eq!(client.value_with::<i64>(waiting, &[&amys])?, 2, "of the other account's");
    world.sandbox.faults().release(OTHERS);
    for import in amys.iter().chain([&bens]) {
        until_row(&mut client, *import, "the import's end", |row| row.state == "completed")?;
    }
    Ok(())
}
