//! A hot standby answers searches and asks nobody; promoted, it takes over.

use e2e::{Cluster, Result, Stop, wait_for};

use crate::support::{SOON, complete, import, quick_world, refusal, start, value};

#[test]
fn searches_on_a_standby_imports_after_its_promotion() -> Result<()> {
    let world = quick_world("Beach", 4)?;
    let mut client = world.connect()?;
    import(&mut client, "Beach")?;
    let expected: Vec<u8> = value(&mut client, "SELECT vector_send(pinterest_board_embedding('Beach'))")?;
    let text: String = value(&mut client, "SELECT pinterest_embed_text('a barn')::text")?;
    let standby = Cluster::builder().standby_of(&world.cluster).start()?;
    let asked = world.sandbox.requests().total();

    let mut reader = standby.connect()?;
    assert!(value::<bool>(&mut reader, "SELECT pg_is_in_recovery()")?);
    assert_eq!(value::<Vec<u8>>(&mut reader, "SELECT vector_send(pinterest_board_embedding('Beach'))")?, expected);
    assert_eq!(value::<String>(&mut reader, "SELECT pinterest_embed_text('a barn')::text")?, text);
    reader.query("SELECT * FROM pinterest_doctor()", &[])?;
    for call in [
        "SELECT pinterest_import_board('Beach')",
        "SELECT * FROM pinterest_list_boards()",
        "SELECT pinterest_authorize_url()",
        "SELECT pinterest_cancel_import(1)",
        "SELECT pinterest_connect('code', repeat('A', 43))",
    ] {
        let refused = refusal(reader.query(call, &[]));
        assert_eq!(refused.code, "25006", "{call}: {refused:?}");
    }
    assert!(standby.backends("pg_pinterest worker")?.is_empty());
    assert!(standby.backends("pg_pinterest launcher")?.is_empty());
    assert_eq!(world.sandbox.requests().total(), asked, "a standby asks nobody");

    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 2)?;
    let queued = start(&mut client, "Beach")?;
    complete(&mut client, queued)?;
    wait_for("the standby to have caught up", SOON, || {
        let images: i64 = value(&mut reader, "SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'")?;
        Ok((images == 6).then_some(()))
    })?;
    world.cluster.stop(Stop::Fast)?;
    assert!(value::<bool>(&mut reader, "SELECT pg_promote()")?);
    standby.wait_for_backend("pg_pinterest launcher", SOON)?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    // A session that began on the standby can write now.
    let row = import(&mut reader, "Beach")?;
    assert_eq!((row.embedded, row.reused), (1, 6), "{row:?}");
    Ok(())
}
