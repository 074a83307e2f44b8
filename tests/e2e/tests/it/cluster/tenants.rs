//! Two roles in one database each do the main job, and neither sees the other's rows.

use crate::support::prelude::*;

/// The main job as a new role.
fn main_job(world: &World, role: &str, username: &str) -> Result<(Client, i64)> {
    world.cluster.create_role(role)?;
    world.connect()?.execute("SELECT pinterest_grant($1, 'user')", &[&role])?;
    let mut client = world.cluster.connect_as(role)?;
    assert!(!client.value::<bool>("SELECT usesuper FROM pg_user WHERE usename = CURRENT_USER")?);
    world.sandbox.sign_in(username)?;
    world.register_app(&mut client, "wedding")?;
    world.connect_account(&mut client)?;
    client.query("SELECT * FROM pinterest_list_boards()", &[])?;
    let import = queue_board(&mut client, "Places")?;
    complete(&mut client, import)?;
    client.batch_execute(
        "CREATE TEMPORARY TABLE venues AS SELECT pinterest_embed_text('a barn') AS embedding;
         SELECT embedding <=> pinterest_board_embedding('Places') FROM venues",
    )?;
    Ok((client, import))
}

#[test]
fn roles_do_not_see_each_others_rows() -> Result<()> {
    let account = |username: &str, family, pins| {
        let board = BoardSpec::new("Places", &[family], pins).media(MediaMix::images_only());
        AccountSpec::new(username).board(board.sections(&["One"]))
    };
    let config = Config {
        accounts: vec![account("example_amy", Family::Beach, 3), account("example_ben", Family::Barn, 5)],
        ..quick_board("Beach", 0)
    };
    let world = World::builder().sandbox(config).connected(false).start()?;
    world.connect()?.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    let (mut amy, _) = main_job(&world, "amy", "example_amy")?;
    let (mut ben, bens_import) = main_job(&world, "ben", "example_ben")?;

    for (client, username, pins) in [(&mut amy, "example_amy", 3), (&mut ben, "example_ben", 5)] {
        for (table, rows) in [
            ("pin", pins),
            ("pin_image", pins),
            ("board", 1),
            ("board_section", 1),
            ("import", 1),
            ("imports", 1),
            ("account", 1),
            ("accounts", 1),
        ] {
            let seen: i64 = client.value(&format!("SELECT count(*) FROM pinterest.{table}"))?;
            assert_eq!(seen, rows, "{username} and {table}");
        }
        assert_eq!(client.value::<String>("SELECT username FROM pinterest.accounts")?, username);
        assert_eq!(client.value::<i64>("SELECT count(app_id) FROM pinterest.app")?, 1);
        assert!(client.value::<i64>("SELECT count(*) FROM pinterest.quota")? <= 1);
    }
    let amys: Vec<u8> = amy.value("SELECT vector_send(pinterest_board_embedding('Places'))")?;
    let bens: Vec<u8> = ben.value("SELECT vector_send(pinterest_board_embedding('Places'))")?;
    assert_ne!(amys, bens, "two boards of one name");

    let account: i64 = ben.value("SELECT account_id FROM pinterest.accounts")?;
    for (statement, code) in [
        (format!("SELECT pinterest_board_embedding('Places', {account})"), "42501"),
        (format!("SELECT pinterest_wait_for_import({bens_import})"), "42704"),
        (format!("SELECT pinterest_cancel_import({bens_import})"), "42704"),
        (format!("SELECT pinterest_purge_board('Places', {account})"), "42501"),
        ("UPDATE pinterest.pin SET title = 'x'".into(), "42501"),
        ("DELETE FROM pinterest.import".into(), "42501"),
        ("INSERT INTO pinterest.board (account_id, board_id, name) VALUES (1, 'x', 'x')".into(), "42501"),
        ("SET ROLE pinterest_worker".into(), "42501"),
    ] {
        amy.refused(&statement, code);
    }
    // Amy's purge does not change Ben's board.
    let purged = amy.query_one("SELECT pins, images FROM pinterest_purge_board('Places')", &[])?;
    assert_eq!((purged.get::<_, i64>(0), purged.get::<_, i64>(1)), (3, 3));
    assert_eq!(amy.value::<i64>("SELECT count(*) FROM pinterest.pin_image")?, 0);
    assert_eq!(ben.value::<i64>("SELECT count(*) FROM pinterest.pin_image")?, 5);
    Ok(())
}

#[test]
fn a_reader_can_only_rank() -> Result<()> {
    let world = quick_world("Beach", 2)?;
    let mut owner = world.connect()?;
    import(&mut owner, "Beach")?;
    world.cluster.create_role("reader")?;
    owner.batch_execute("SELECT pinterest_grant('reader', 'reader')")?;
    let mut reader = world.cluster.connect_as("reader")?;
    reader.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    reader.query("SELECT * FROM pinterest_doctor()", &[])?;
    assert_eq!(reader.value::<i64>("SELECT count(*) FROM pinterest.imports")?, 0);
    for call in [
        "SELECT pinterest_import_board('Beach')",
        "SELECT pinterest_authorize_url()",
        "SELECT pinterest_store_token('token')",
        "SELECT pinterest_adopt()",
    ] {
        reader.refused(call, "42501");
    }
    Ok(())
}

#[test]
fn a_board_that_two_accounts_have_imported_is_told_apart_by_account() -> Result<()> {
    let account = AccountSpec::new("example_amy").board(beach_board("Places", 2));
    let config = Config { accounts: vec![account], ..quick_board("Beach", 0) };
    let world = World::builder().sandbox(config).connected(false).start()?;
    let mut superuser = world.connect()?;
    superuser.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    for role in ["amy", "ben"] {
        main_job(&world, role, "example_amy")?;
    }
    let accounts: Vec<i64> =
        superuser.value("SELECT array_agg(account_id ORDER BY account_id) FROM pinterest.accounts")?;
    let refused = superuser.refused("SELECT pinterest_board_embedding('Places')", "22023");
    assert!(refused.hint.starts_with(&format!("Pass account_id: {} (", accounts[0])), "{refused:?}");
    assert!(refused.hint.contains(&format!("), {} (", accounts[1])), "{refused:?}");
    superuser.execute("SELECT pinterest_board_embedding('Places', account_id => $1)", &[&accounts[1]])?;
    Ok(())
}
