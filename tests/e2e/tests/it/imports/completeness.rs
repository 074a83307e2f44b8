//! No answer destroys stored data: a listing removes only pins that it proves gone, and reports open questions.

use sandbox::OddShape;

use crate::support::prelude::*;

/// A board with 13 pins, of which 12 are imported.
fn world_of_twelve() -> Result<(World, Client)> {
    let (world, mut client) = quick_world("Beach", 12)?.with_session()?;
    imported(&mut client, "'Beach'")?;
    assert_eq!(standing(&mut client)?, (12, 12));
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    Ok((world, client))
}

/// The numbers of pins that are not removed and of embeddings.
fn standing(client: &mut Client) -> Result<(i64, i64)> {
    client.pair("SELECT (SELECT count(*) FROM pinterest.pin WHERE removed_at IS NULL), (SELECT count(embedding) FROM pinterest.pin_image)", &[])
}

/// Imports once with `faults`, then twice without: the first repairs everything, the second finds the board unchanged.
fn survives(world: &World, client: &mut Client, what: &str, faults: Vec<Rule>, coverage: &str) -> Result<Report> {
    let rules: Vec<_> = faults.into_iter().map(|rule| world.sandbox.faults().add(rule)).collect();
    let before = standing(client)?;
    let report = imported(client, "'Beach'")?;
    let after = standing(client)?;
    assert!(after.0 >= before.0 && after.1 >= before.1, "{what}: {before:?} {after:?} {report:?}");
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), (coverage, 0), "{what}: {report:?}");
    if coverage == "incomplete" {
        let row = Row::of(client, report.import)?;
        assert!(!row.reason.is_empty(), "{what}: {row:?}");
    }
    for rule in rules {
        world.sandbox.faults().remove(rule);
    }
    let pins = i64::try_from(world.sandbox.pin_ids(&world.sandbox.board_id("Beach")?)?.len())?;
    let good = imported(client, "'Beach'")?;
    assert_eq!((good.coverage.as_str(), standing(client)?), ("whole", (pins, pins)), "{what}: {good:?}");
    let last = imported(client, "'Beach'")?;
    assert_eq!((last.coverage.as_str(), standing(client)?), ("unchanged", (pins, pins)), "{what}: {last:?}");
    Ok(report)
}

#[test]
fn incomplete_pages_remove_no_pins() -> Result<()> {
    let (world, mut client) = world_of_twelve()?;
    let page = |fault: Fault| Rule::on(Kind::BoardPins, fault);
    let board = |difference: i64| Rule::on(Kind::Board, Fault::PinCount { difference });
    let short = || page(Fault::ShortPage { items: 5 });
    let odd = |shape| page(Fault::OddItems { every: 2, shape });
    let cases: Vec<(&str, Vec<Rule>, &str)> = vec![
        ("an empty page", vec![page(Fault::EmptyPage)], "incomplete"),
        ("an empty page and a count that agrees", vec![page(Fault::EmptyPage), board(-14)], "incomplete"),
        ("a lost bookmark", vec![short(), page(Fault::LostBookmark)], "incomplete"),
        ("a truncated page", vec![page(Fault::TruncatedPage { items: 9 })], "incomplete"),
        ("a count that hides it", vec![page(Fault::TruncatedPage { items: 12 }), board(-3)], "incomplete"),
        ("a count that is too high", vec![board(5)], "incomplete"),
        ("items that are null", vec![odd(OddShape::Null)], "incomplete"),
        ("items without an id", vec![odd(OddShape::WithoutId)], "incomplete"),
        ("items whose id is null", vec![odd(OddShape::NullId)], "incomplete"),
        ("items in lists", vec![odd(OddShape::List)], "incomplete"),
        ("all items in lists", vec![page(Fault::OddItems { every: 1, shape: OddShape::List })], "incomplete"),
    ];
    for (what, faults, coverage) in cases {
        world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
        let report = survives(&world, &mut client, what, faults, coverage)?;
        let unreadable = what.starts_with("items") || what.starts_with("all items");
        assert_eq!(report.count("pin", "unreadable", "unknown_shape") > 0, unreadable, "{what}: {report:?}");
    }
    Ok(())
}

#[test]
fn numeric_ids_are_read_and_odd_members_change_nothing() -> Result<()> {
    let (world, mut client) = world_of_twelve()?;
    let ids = world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::NumericIds { every: 1 }));
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), standing(&mut client)?), ("whole", (13, 13)), "{report:?}");
    world.sandbox.faults().remove(ids);
    // Members of other types leave the stored values, and the pins are read again by the next listing.
    let titles = "SELECT string_agg(concat_ws(' ', pin_id, title, media_type, no_image), ',' ORDER BY pin_id) FROM pinterest.pin";
    let before: String = client.value(titles)?;
    client.batch_execute("UPDATE pinterest.board SET imported_modified_at = NULL")?;
    let odd = Fault::OddItems { every: 2, shape: OddShape::OddMembers };
    let odd = world.sandbox.faults().add(Rule::on(Kind::BoardPins, odd));
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.count("pin", "doubtful", "odd_members"), 6, "{report:?}");
    assert_eq!((client.value::<String>(titles)?, standing(&mut client)?), (before, (13, 13)));
    world.sandbox.faults().remove(odd);
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), standing(&mut client)?), ("whole", (13, 13)), "{report:?}");
    Ok(())
}

#[test]
fn pins_listed_once_without_media_keep_their_images() -> Result<()> {
    let (world, mut client) = world_of_twelve()?;
    let without = Rule::on(Kind::BoardPins, Fault::WithoutMedia { every: 2 });
    let report = survives(&world, &mut client, "without media", vec![without.clone()], "whole")?;
    assert_eq!(report.sum("image", "missing"), 6, "{report:?}");
    // Two listings in a row confirm it.
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    world.sandbox.faults().add(without);
    imported(&mut client, "'Beach'")?;
    assert_eq!(standing(&mut client)?.1, 14, "the new pin is listed first, and keeps its media");
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), standing(&mut client)?), ("whole", (14, 7)), "{report:?}");
    Ok(())
}

#[test]
fn removing_many_pins_takes_two_listings() -> Result<()> {
    let (world, mut client) = world_of_twelve()?;
    imported(&mut client, "'Beach'")?;
    let board = world.sandbox.board_id("Beach")?;
    let pins = world.sandbox.pin_ids(&board)?;
    pins[..5].iter().try_for_each(|pin| world.sandbox.remove_pin(pin))?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("whole", 5), "{report:?}");

    pins[5..].iter().try_for_each(|pin| world.sandbox.remove_pin(pin))?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("incomplete", 0), "{report:?}");
    let row = Row::of(&mut client, report.import)?;
    assert!(row.reason.contains("8 of 8"), "{row:?}");
    assert_eq!(client.value::<i64>("SELECT count(missing_since) FROM pinterest.pin WHERE removed_at IS NULL")?, 8);
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("whole", 8), "{report:?}");
    assert_eq!(imported(&mut client, "'Beach'")?.coverage, "unchanged");
    Ok(())
}

#[test]
fn imports_out_of_order_do_not_restore_removed_pins() -> Result<()> {
    let (world, mut client) = world_of_twelve()?;
    // The first of two imports waits until the second has ended, as if it waited for the quota.
    let account = world.account();
    client.execute("SELECT pinterest_pause_account($1)", &[&account])?;
    let first = queue_board(&mut client, "Beach")?;
    let wake = "UPDATE pinterest.import SET due = false, wake_at = clock_timestamp() + $2::float8 * interval '1 hour' WHERE import_id = $1";
    client.execute(wake, &[&first, &1.0])?;
    client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
    import(&mut client, "Beach")?;
    let board = world.sandbox.board_id("Beach")?;
    let gone = world.sandbox.pin_ids(&board)?.swap_remove(0);
    world.sandbox.remove_pin(&gone)?;
    world.sandbox.add_pins(&board, 1)?;
    client.execute(wake, &[&first, &0.0])?;
    // Only wakes the worker.
    client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
    complete(&mut client, first)?;
    imported(&mut client, "'Beach'")?;
    let kept: bool = client.value_with("SELECT removed_at IS NULL FROM pinterest.pin WHERE pin_id = $1", &[&gone])?;
    assert_eq!((kept, standing(&mut client)?.0), (false, 13));
    Ok(())
}

#[test]
fn pins_hidden_from_the_app_are_accepted_after_a_day() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 12)?.with_session()?;
    for kind in [Kind::Boards, Kind::Board] {
        world.sandbox.faults().add(Rule::on(kind, Fault::PinCount { difference: 2 }));
    }
    for _ in 0..2 {
        let report = imported(&mut client, "'Beach'")?;
        assert_eq!((report.coverage.as_str(), standing(&mut client)?), ("incomplete", (12, 12)), "{report:?}");
    }
    // A pin removed meanwhile is verified by a separate request, and does not change the gap.
    world.sandbox.remove_pin(&world.sandbox.pin_ids(&world.sandbox.board_id("Beach")?)?[5])?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("incomplete", 1), "{report:?}");
    client.batch_execute("UPDATE pinterest.board SET gap_since = gap_since - interval '1 day'")?;
    assert_eq!(imported(&mut client, "'Beach'")?.coverage, "whole");
    assert_eq!(imported(&mut client, "'Beach'")?.coverage, "unchanged");
    // A pin removed afterwards shows in the count.
    world.sandbox.remove_pin(&world.sandbox.pin_ids(&world.sandbox.board_id("Beach")?)?[3])?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("whole", 1), "{report:?}");
    Ok(())
}

/// A pin's image gets a new address that cannot be downloaded.
#[test]
fn an_embedding_stays_until_its_successor_is_stored() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    imported(&mut client, "'Beach'")?;
    let change = "UPDATE pinterest.pin_image SET content_hash = md5(content_hash); UPDATE pinterest.board SET imported_modified_at = NULL";
    client.batch_execute(change)?;
    let closed = world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.count("image", "reused", "before"), standing(&mut client)?), (3, (3, 3)), "{report:?}");
    world.sandbox.faults().remove(closed);
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.sum("image", "embedded") + report.sum("image", "reused"), standing(&mut client)?), (3, (3, 3)));
    assert_eq!(imported(&mut client, "'Beach'")?.coverage, "unchanged");

    // The second failing import in a row drops the embedding.
    client.batch_execute(change)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    imported(&mut client, "'Beach'")?;
    client.batch_execute("UPDATE pinterest.board SET imported_modified_at = NULL")?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.sum("image", "failed"), standing(&mut client)?), (3, (3, 0)), "{report:?}");
    Ok(())
}

#[test]
fn an_absurd_reset_time_delays_nothing() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let headers = [("x-ratelimit-reset", "1763000000000"), ("x-ratelimit-remaining", "0")];
    let refused = Fault::Status {
        status: 429,
        code: 8,
        message: "too many".into(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    };
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, refused).once());
    let import = queue_board(&mut client, "Beach")?;
    until_state(&mut client, import, "waiting_quota")?;
    let soon = "SELECT max(i.wake_at) < now() + interval '10 minutes' AND max(q.reset_at) < now() + interval '25 hours'
           FROM pinterest.import i, pinterest.quota_ledger q";
    assert!(client.value::<bool>(soon)?);
    // As left behind by an earlier version or a clock change.
    client.batch_execute(
        "UPDATE pinterest.quota_ledger SET reset_at = '9999-01-01', remaining = -1;
         UPDATE pinterest.import SET wake_at = clock_timestamp()",
    )?;
    let account = world.account();
    client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
    assert_eq!(complete(&mut client, import)?.embedded, 3);
    Ok(())
}
