//! A hot standby answers searches and makes no request; after promotion it imports.

use crate::support::prelude::*;

#[test]
fn a_standby_searches_and_imports_after_its_promotion() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    import(&mut client, "Beach")?;
    let expected: Vec<u8> = client.value("SELECT vector_send(pinterest_board_embedding('Beach'))")?;
    let text: String = client.value("SELECT pinterest_embed_text('a barn')::text")?;
    let standby = Cluster::builder().standby_of(&world.cluster).start()?;
    let asked = world.sandbox.requests().total();

    let mut reader = standby.connect()?;
    assert!(reader.value::<bool>("SELECT pg_is_in_recovery()")?);
    assert_eq!(reader.value::<Vec<u8>>("SELECT vector_send(pinterest_board_embedding('Beach'))")?, expected);
    assert_eq!(reader.value::<String>("SELECT pinterest_embed_text('a barn')::text")?, text);
    reader.query("SELECT * FROM pinterest_doctor()", &[])?;
    for call in [
        "SELECT pinterest_import_board('Beach')",
        "SELECT * FROM pinterest_list_boards()",
        "SELECT pinterest_authorize_url()",
        "SELECT pinterest_cancel_import(1)",
        "SELECT pinterest_connect('code', repeat('A', 43))",
    ] {
        reader.refused(call, "25006");
    }
    assert!(standby.backends("pg_pinterest worker")?.is_empty());
    assert!(standby.backends("pg_pinterest launcher")?.is_empty());
    assert_eq!(world.sandbox.requests().total(), asked, "a standby makes no request");

    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 2)?;
    import(&mut client, "Beach")?;
    reader.until("SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'", 6_i64)?;
    world.cluster.stop(Stop::Fast)?;
    assert!(reader.value::<bool>("SELECT pg_promote()")?);
    standby.wait_for_backend("pg_pinterest launcher", SOON)?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    // A session that began on the standby can write now.
    let row = import(&mut reader, "Beach")?;
    assert_eq!((row.embedded, row.reused), (1, 6), "{row:?}");
    Ok(())
}
