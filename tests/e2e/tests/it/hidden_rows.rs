//! Policies that hide rows from the table's owner: a worker that reads as the owner cannot tell them from rows that are gone.

use e2e::{Result, wait_for};
use postgres::Client;

use crate::support::{SOON, refusal, value};
use crate::track_work_support::{count, settled, small_world};

const TENANTS: &str = "
    CREATE TABLE venues (id bigint PRIMARY KEY, tenant text, description text, embedding vector(512));
    CREATE POLICY tenant ON venues USING (tenant = current_setting('app.tenant', true));
    INSERT INTO venues VALUES (1, 'a', 'barn'), (2, 'a', 'beach'), (3, 'b', 'castle');";
const FORCE: &str = "ALTER TABLE venues ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY";
const RELAX: &str = "ALTER TABLE venues NO FORCE ROW LEVEL SECURITY";
const TRACK: &str = "SELECT pinterest_track('venues', text => 'description')";

fn owner(world: &e2e::World, client: &mut Client) -> Result<Client> {
    world.cluster.create_role("ann")?;
    client.batch_execute("SELECT pinterest_grant('ann'); CREATE SCHEMA ann AUTHORIZATION ann")?;
    let mut owner = world.cluster.connect_as("ann")?;
    owner.batch_execute(TENANTS)?;
    Ok(owner)
}

fn problem(client: &mut Client) -> Result<String> {
    wait_for("the problem", SOON, || {
        let row = client
            .query_one("SELECT concat_ws(' ', state, problem_code, problem, hint) FROM pinterest.tracked", &[])?;
        let text: String = row.get(0);
        Ok(text.starts_with("problem").then_some(text))
    })
}

#[test]
fn nothing_is_forgotten_and_nothing_emptied() -> Result<()> {
    let world = small_world()?;
    let mut client = world.connect()?;
    let mut owner = owner(&world, &mut client)?;
    assert_eq!(value::<i64>(&mut owner, TRACK)?, 3);
    settled(&mut client)?;
    let vectors = "SELECT count(embedding) FROM ann.venues";
    assert_eq!(value::<i64>(&mut client, vectors)?, 3);
    owner.batch_execute(FORCE)?;
    // A tenant changes a row that is now out of the worker's sight, and one makes a new one.
    owner.batch_execute(
        "SET app.tenant = 'a'; UPDATE venues SET description = 'a red barn' WHERE id = 1; INSERT INTO venues VALUES (4, 'a', 'tent')",
    )?;
    let found = problem(&mut client)?;
    assert!(found.contains("55000 policies of ann.venues can hide rows from its owner"), "{found}");
    assert!(found.contains("NO FORCE ROW LEVEL SECURITY"), "{found}");
    assert_eq!((count(&mut client, "pending")?, count(&mut client, "embedded")?), (2, 2));
    assert_eq!(value::<i64>(&mut client, vectors)?, 2, "only the one whose source is another has none");
    // Declared again it would forget what it cannot see: by the owner, and by whoever sees all.
    for client in [&mut owner, &mut client] {
        let refused = refusal(client.batch_execute("SELECT pinterest_track('ann.venues', text => 'description')"));
        assert_eq!(refused.code, "55000", "{refused:?}");
        assert!(refused.hint.contains("NO FORCE"), "{refused:?}");
    }
    assert_eq!((count(&mut client, "pending")?, count(&mut client, "embedded")?), (2, 2));
    owner.batch_execute(RELAX)?;
    owner.batch_execute(TRACK)?;
    settled(&mut client)?;
    assert_eq!(value::<i64>(&mut client, vectors)?, 4);
    assert_eq!(value::<String>(&mut client, "SELECT state FROM pinterest.tracked")?, "active");
    Ok(())
}

#[test]
fn a_policy_that_shows_the_owner_everything() -> Result<()> {
    let world = small_world()?;
    let mut client = world.connect()?;
    let mut owner = owner(&world, &mut client)?;
    owner.batch_execute(FORCE)?;
    owner.batch_execute("CREATE POLICY owner ON venues TO ann USING (true)")?;
    assert_eq!(value::<i64>(&mut owner, TRACK)?, 3);
    settled(&mut client)?;
    assert_eq!(value::<i64>(&mut client, "SELECT count(embedding) FROM ann.venues")?, 3);
    owner.batch_execute(
        "CREATE POLICY narrow ON venues AS RESTRICTIVE USING (id < 3); UPDATE venues SET description = 'x' WHERE id = 2",
    )?;
    problem(&mut client)?;
    assert_eq!(count(&mut client, "pending")? + count(&mut client, "embedded")?, 3);
    // For somebody else alone.
    owner.batch_execute("DROP POLICY narrow ON venues; DROP POLICY owner ON venues; CREATE POLICY other ON venues TO pg_monitor USING (true)")?;
    assert_eq!(refusal(owner.batch_execute(TRACK)).code, "55000");
    Ok(())
}
