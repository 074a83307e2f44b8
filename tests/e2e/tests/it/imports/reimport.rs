//! Another import of a board requests only its changes.

use crate::support::prelude::*;

#[test]
fn an_unchanged_board_costs_one_request() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    import(&mut client, "Beach")?;
    world.sandbox.requests().reset();
    let row = import(&mut client, "Beach")?;
    assert_eq!(world.sandbox.requests().counts().into_iter().collect::<Vec<_>>(), [(Kind::Board, 1)]);
    assert_eq!((row.embedded, row.pins_removed), (0, 0), "{row:?}");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'")?, 6);
    Ok(())
}

#[test]
fn only_the_changes_of_a_board_are_imported() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    import(&mut client, "Beach")?;
    let before: Vec<u8> = client.value(MEAN)?;
    let board = world.sandbox.board_id("Beach")?;
    let gone = world.sandbox.pin_ids(&board)?.remove(2);
    world.sandbox.remove_pin(&gone)?;
    let fresh = world.sandbox.add_pins(&board, 2)?;

    world.sandbox.requests().reset();
    let row = import(&mut client, "Beach")?;
    assert_eq!(world.sandbox.requests().pictures(), 2, "only the new images are downloaded");
    assert_eq!((row.total, row.embedded, row.reused, row.pins_removed), (7, 2, 5, 1), "{row:?}");
    let removed: Vec<String> = client.column("SELECT pin_id FROM pinterest.pin WHERE removed_at IS NOT NULL")?;
    assert_eq!(removed, std::slice::from_ref(&gone));
    for pin in fresh {
        let state = "SELECT state FROM pinterest.pin_image WHERE pin_id = $1";
        assert_eq!(client.value_with::<String>(state, &[&pin])?, "embedded");
    }
    // The removed pin no longer contributes to the board's embedding, but its row is kept.
    assert_ne!(client.value::<Vec<u8>>(MEAN)?, before);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image")?, 8);
    Ok(())
}

/// The exact bytes of the board's mean.
const MEAN: &str = "SELECT vector_send(pinterest_board_embedding('Beach'))";

#[test]
fn an_image_on_two_pins_is_embedded_once() -> Result<()> {
    let mut config = quick_board("Beach", 20);
    config.surprises.repeated_pictures = 50;
    let (_world, mut client) = e2e::World::of(config)?.with_session()?;
    let row = import(&mut client, "Beach")?;
    assert_eq!(row.embedded + row.reused, 20, "{row:?}");
    assert!(row.reused > 0, "{row:?}");
    let distinct: i64 = client.value("SELECT count(DISTINCT content_hash) FROM pinterest.pin_image")?;
    assert_eq!(i64::from(row.embedded), distinct, "each image is embedded once: {row:?}");
    Ok(())
}
