//! The main workflow, from an empty database to an imported board.

use crate::support::prelude::*;

/// All steps of a user, on a server with or without the extension preloaded.
fn from_nothing_to_a_board(preload: bool) -> Result<()> {
    let (world, mut client) = World::builder().preload(preload).connected(false).start()?.with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.register_app(&mut client, "wedding")?;
    let account = world.connect_account(&mut client)?;
    let row = client.query_one("SELECT account_id, username, status, app FROM pinterest.accounts", &[])?;
    let (username, status, app): (String, String, String) = (row.get(1), row.get(2), row.get(3));
    assert_eq!(row.get::<_, i64>(0), account);
    assert_eq!((username.as_str(), status.as_str(), app.as_str()), ("example_couple", "connected", "wedding"));

    let mut listed: Vec<String> = client.column("SELECT name FROM pinterest_list_boards()")?;
    listed.sort_unstable();
    // All but the secret one, whose scope was not requested.
    assert_eq!(listed, ["Ballroom", "Barn wedding", "Beach ceremony", "Decoration", "Garden party", "Honeymoon"]);

    let row = import(&mut client, "Decoration")?;
    assert_eq!(row.pins_listed, 30);
    assert!(row.embedded >= 30, "carousels have several images: {row:?}");
    assert_eq!((row.skipped, row.failed), (0, 0), "{row:?}");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin WHERE removed_at IS NULL")?, 30);
    let bare = "SELECT count(*) FROM pinterest.pin p WHERE NOT EXISTS
            (SELECT FROM pinterest.pin_image i WHERE i.account_id = p.account_id AND i.pin_id = p.pin_id)";
    assert_eq!(
        client.value::<i64>(bare)?,
        i64::from(row.pins_without_image),
        "a pin has an image or counts as one without"
    );

    let preloaded = "SELECT status FROM pinterest_doctor() WHERE check_name = 'preloaded'";
    assert_eq!(client.value::<String>(preloaded)?, if preload { "ok" } else { "note" });
    // The doctor may warn about the installed version of pgvector.
    let bad = "SELECT count(*) FROM pinterest_doctor() WHERE status NOT IN ('ok', 'note') AND check_name <> 'pgvector'";
    assert_eq!(client.value::<i64>(bad)?, 0);
    Ok(())
}

#[test]
fn a_board_is_imported_with_preloading() -> Result<()> {
    from_nothing_to_a_board(true)
}

#[test]
fn a_board_is_imported_without_preloading() -> Result<()> {
    from_nothing_to_a_board(false)
}
