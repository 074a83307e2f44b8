//! A purge erases an account with all its data in one transaction, counts the rows, and is permanent.

use crate::support::oauth::{WORKER, arrived, refresh, store_grant};
use crate::support::prelude::*;

/// The counts that a purge returns.
#[derive(Debug, PartialEq, Eq)]
struct Erased {
    tokens: i64,
    boards: i64,
    pins: i64,
    images: i64,
    vectors: i64,
    imports: i64,
}

impl Erased {
    fn of(client: &mut impl postgres::GenericClient, sql: &str, account: i64) -> Result<Self> {
        let row = client.query_one(sql, &[&account])?;
        let count = |name| row.get::<_, i64>(name);
        Ok(Self {
            tokens: count("tokens"),
            boards: count("boards"),
            pins: count("pins"),
            images: count("images"),
            vectors: count("vectors"),
            imports: count("imports"),
        })
    }

    fn purge(client: &mut impl postgres::GenericClient, account: i64) -> Result<Self> {
        Self::of(client, "SELECT * FROM pinterest_disconnect($1, purge => true)", account)
    }
}

/// The stored data of an account, counted as in a purge.
fn there(client: &mut impl postgres::GenericClient, account: i64) -> Result<Erased> {
    Erased::of(
        client,
        "SELECT (SELECT COALESCE(sum(num_nonnulls(access_token, refresh_token, previous_refresh_token)), 0)
                   FROM pinterest.token WHERE account_id = $1) AS tokens,
                (SELECT count(*) FROM pinterest.board WHERE account_id = $1) AS boards,
                (SELECT count(*) FROM pinterest.pin WHERE account_id = $1) AS pins,
                (SELECT count(*) FROM pinterest.pin_image WHERE account_id = $1) AS images,
                (SELECT count(embedding) FROM pinterest.pin_image WHERE account_id = $1) AS vectors,
                (SELECT count(*) FROM pinterest.import WHERE account_id = $1) AS imports",
        account,
    )
}

/// The tables with rows of the account.
fn traces(client: &mut Client, account: i64) -> Result<Vec<String>> {
    let tables = client.query(
        "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
          WHERE relnamespace = 'pinterest'::regnamespace AND relkind = 'r' AND attname = 'account_id'",
        &[],
    )?;
    assert!(tables.len() >= 8, "{tables:?}");
    let mut left = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        let rows = client.query_one(&format!("SELECT count(*) FROM {table} WHERE account_id = $1"), &[&account])?;
        if rows.get::<_, i64>(0) > 0 {
            left.push(table);
        }
    }
    Ok(left)
}

#[test]
fn a_purge_counts_its_rows_and_is_transactional() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 5)?.with_session()?;
    let other = store_grant(&world, &mut client, "other")?;
    for account in [world.account(), other] {
        for _ in 0..2 {
            let id: i64 = client.value_with("SELECT pinterest_import_board('Beach', $1)", &[&account])?;
            complete(&mut client, id)?;
        }
    }
    let before = there(&mut client, world.account())?;
    assert_eq!(before, Erased { tokens: 2, boards: 1, pins: 5, images: 5, vectors: 5, imports: 2 });

    let mut transaction = client.transaction()?;
    assert_eq!(Erased::purge(&mut transaction, world.account())?, before);
    transaction.rollback()?;
    assert_eq!(there(&mut client, world.account())?, before, "a rollback undoes all of it");

    // Another role's purge is refused as if the account did not exist.
    world.cluster.create_role("somebody")?;
    client.batch_execute("SELECT pinterest_grant('somebody', 'user')")?;
    let mut somebody = world.cluster.connect_as("somebody")?;
    let purge = "SELECT * FROM pinterest_disconnect($1, purge => true)";
    expect_refusal(somebody.query(purge, &[&world.account()]), "42501");

    assert_eq!(Erased::purge(&mut client, world.account())?, before);
    assert_eq!(traces(&mut client, world.account())?, Vec::<String>::new());
    assert_eq!(refusal(client.query(purge, &[&world.account()])).code, "42501", "like an unknown account");
    assert_eq!(there(&mut client, other)?, before, "the other account keeps everything");
    Ok(())
}

#[test]
fn a_disconnect_erases_only_the_tokens() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    import(&mut client, "Beach")?;
    let disconnect = "SELECT * FROM pinterest_disconnect($1)";
    let erased = Erased::of(&mut client, disconnect, world.account())?;
    assert_eq!(erased, Erased { tokens: 2, boards: 0, pins: 0, images: 0, vectors: 0, imports: 0 });
    assert_eq!(there(&mut client, world.account())?.vectors, 4);
    assert_eq!(client.value::<String>("SELECT status FROM pinterest.accounts")?, "disconnected");
    expect_refusal(refresh(&mut client, Some(world.account())), "28000");
    client.query_one("SELECT pinterest_board_embedding('Beach', $1)::text", &[&world.account()])?;
    assert_eq!(world.connect_account(&mut client)?, world.account());
    import(&mut client, "Beach")?;
    Ok(())
}

/// The worker continues normally: another account is refreshed and its board imported.
fn all_is_well(world: &World, client: &mut Client) -> Result<()> {
    let account = world.connect_account(client)?;
    assert_ne!(account, world.account());
    refresh(client, Some(account))?;
    import(client, "Beach")?;
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    assert_eq!(traces(client, world.account())?, Vec::<String>::new(), "no erased row has been stored again");
    Ok(())
}

#[test]
fn a_purge_during_an_import_is_complete() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 12)?.with_session()?;
    hold_pictures_after(&world, 3);
    let id = queue_board(&mut client, "Beach")?;
    until_row(&mut client, id, "the first images", |row| row.embedded == 3)?;
    let erased = Erased::purge(&mut client, world.account())?;
    assert_eq!((erased.pins, erased.images, erased.vectors, erased.imports), (12, 12, 3, 1), "{erased:?}");
    // The outstanding response arrives after the purge.
    world.sandbox.faults().release(GATE);
    all_is_well(&world, &mut client)
}

#[test]
fn a_purge_during_a_listing_is_complete() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::Hold { gate: GATE.into() }).once());
    queue_board(&mut client, "Beach")?;
    assert!(world.sandbox.requests().wait_for(Kind::BoardPins, 1, SOON));
    Erased::purge(&mut client, world.account())?;
    world.sandbox.faults().release(GATE);
    all_is_well(&world, &mut client)
}

#[test]
fn a_purge_during_a_refresh_is_complete() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    let before = arrived(&world);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: GATE.into() }).once());
    let mut caller = world.connect()?;
    let account = world.account();
    let call = std::thread::spawn(move || refresh(&mut caller, Some(account)));
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    assert_eq!(Erased::purge(&mut client, account)?.tokens, 2);
    world.sandbox.faults().release(GATE);
    let Ok(outcome) = call.join() else { panic!("the caller panicked") };
    refusal(outcome);
    all_is_well(&world, &mut client)
}

#[test]
fn a_disconnect_or_new_grant_during_a_refresh_takes_precedence() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    let account = world.account();
    for (gate, disconnect) in [("disconnect", true), ("reconnect", false)] {
        let before = arrived(&world);
        world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: gate.into() }).once());
        let mut caller = world.connect()?;
        let call = std::thread::spawn(move || refresh(&mut caller, Some(account)));
        assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
        if disconnect {
            client.execute("SELECT pinterest_disconnect($1)", &[&account])?;
        } else {
            world.connect_account(&mut client)?;
        }
        world.sandbox.faults().release(gate);
        let Ok(outcome) = call.join() else { panic!("the caller panicked") };
        if disconnect {
            refusal(outcome);
            let tokens = "SELECT count(*) FROM pinterest.token";
            assert_eq!(client.value::<i64>(tokens)?, 0, "the answer was not stored");
            world.connect_account(&mut client)?;
        } else {
            // The new grant is newer than the tokens that the call was to refresh.
            outcome?;
        }
        refresh(&mut client, Some(account))?;
        assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    }
    until("a worker", || Ok(!world.cluster.backends(WORKER)?.is_empty()))?;
    Ok(())
}
