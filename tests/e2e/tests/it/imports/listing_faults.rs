//! Broken answers in the middle of a listing: the import waits for temporary faults to pass, fails with a reason at
//! permanent ones, and neither loses nor repeats anything.

use serde_json::json;

use crate::support::prelude::*;

const PINS: i32 = 5;
/// A slow answer is aborted after half a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// A world with a board for each case, listed with two pins per page.
fn world(names: &[&str]) -> Result<World> {
    let board = |name: &&str| beach_board(*name, PINS as u64);
    let config = Config {
        accounts: vec![names.iter().map(board).fold(AccountSpec::new("example_user"), AccountSpec::board)],
        faults: vec![Rule::on(Kind::BoardPins, Fault::ShortPage { items: 2 })],
        ..quick_board("Beach", 0)
    };
    World::of(config)
}

fn pages_of(world: &World, board: &str) -> Result<String> {
    Ok(format!("/v5/boards/{}/pins", world.sandbox.board_id(board)?))
}

fn ended(client: &mut Client, import: i64) -> Result<Row> {
    wait_for("the import's end", PATIENCE, || {
        let row = Row::of(client, import)?;
        Ok(["completed", "failed", "cancelled"].contains(&row.state.as_str()).then_some(row))
    })
}

#[test]
fn temporary_faults_only_delay_an_import() -> Result<()> {
    let text = |message: &str| Fault::Status { status: 400, code: 99, message: message.into(), headers: [].into() };
    let cases: Vec<(&str, Fault)> = vec![
        ("400 code 12", Fault::SomethingWentWrong),
        ("400 in words", text("Sorry! Something went wrong on our end")),
        ("409", Fault::Conflict),
        ("500", Fault::ServerError { status: 500 }),
        ("503", Fault::ServerError { status: 503 }),
        ("502 in HTML", Fault::Html502),
        ("200 in HTML", Fault::Html200),
        ("half the JSON", Fault::TruncatedBody),
        ("a drip", Fault::SlowBody { bytes_per_second: 50 }),
        ("less than announced", Fault::WrongContentLength { difference: 100 }),
        ("cut before the answer", Fault::ResetBeforeHeaders),
        ("cut within the answer", Fault::ResetAfterHeaders),
        ("no answer", Fault::LostAnswer),
    ];
    let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
    let (world, mut client) = world(&names)?.with_session()?;
    let mut imports = Vec::new();
    for (name, fault) in &cases {
        // Twice on the second page, so that the first page is stored and a second attempt fails in the same way.
        let rule = Rule::on(pages_of(&world, name)?, fault.clone()).skip(1);
        let rule = world.sandbox.faults().add(if *name == "a drip" { rule.once() } else { rule.times(2) });
        imports.push((name, rule, queue_board(&mut client, name)?));
    }
    for (name, rule, import) in imports {
        let row = ended(&mut client, import)?;
        assert_eq!((row.state.as_str(), row.pins_listed, row.embedded), ("completed", PINS, PINS), "{name}: {row:?}");
        assert!(row.reason.is_empty(), "{name}: the reason is cleared: {row:?}");
        complete(&mut client, import)?;
        let fired = world.sandbox.faults().fired(rule);
        assert!(fired > 0, "{name}");
        let path = pages_of(&world, name)?;
        let pages = world.sandbox.requests().latest().iter().filter(|request| request.path == path).count() as u64;
        assert_eq!(pages, 3 + fired, "{name}: no page is listed twice");
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, i64::from(PINS) * cases.len() as i64);
    Ok(())
}

#[test]
fn permanent_faults_fail_the_import_with_a_reason() -> Result<()> {
    let inside = |status: u16, location: &str| Fault::Redirect { status, location: location.into() };
    let circle = Fault::RepeatedBookmark;
    let cases: Vec<(&str, Fault, &str)> = vec![
        ("endless", Fault::EndlessBody, "at most"),
        ("packed", Fault::GzipBomb { mebibytes: 64 }, ""),
        ("headers", Fault::ManyHeaders { count: 1_000 }, "headers"),
        ("a header", Fault::HugeHeader { bytes: 1 << 20 }, "headers"),
        ("in circles", circle, "bookmark"),
        ("to itself", inside(302, "https://127.0.0.1:5432/"), "302"),
        ("to metadata", inside(307, "http://169.254.169.254/latest/meta-data/"), "307"),
        ("to a file", inside(301, "file:///etc/passwd"), "301"),
        ("forbidden", Fault::Forbidden, "403"),
    ];
    let names: Vec<_> = cases.iter().map(|(name, _, _)| *name).collect();
    let (world, mut client) = world(&names)?.with_session()?;
    let mut imports = Vec::new();
    for (name, fault, words) in &cases {
        world.sandbox.faults().add(Rule::on(pages_of(&world, name)?, fault.clone()).skip(1));
        imports.push((name, words, queue_board(&mut client, name)?));
    }
    for (name, words, import) in &imports {
        let row = ended(&mut client, *import)?;
        assert_eq!((row.state.as_str(), row.phase.as_str()), ("failed", "finished"), "{name}: {row:?}");
        assert!(!row.reason.is_empty() && row.reason.contains(**words), "{name}: {row:?}");
        assert_eq!(row.error_code.len(), 5, "{name}: {row:?}");
        // Stored pins stay, and none is reported as removed.
        assert!(row.pins_listed >= 2 && row.pins_removed == 0, "{name}: {row:?}");
    }
    // Without the faults, the boards can be imported.
    world.sandbox.faults().clear();
    for (name, _, _) in &imports {
        let row = import(&mut client, name)?;
        assert_eq!((row.pins_listed, row.embedded + row.reused), (PINS, PINS), "{name}: {row:?}");
    }
    Ok(())
}

#[test]
fn odd_pages_are_listed_to_the_end() -> Result<()> {
    let cases: Vec<(&str, Fault)> = vec![
        ("an empty page with a bookmark", Fault::EmptyPageWithBookmark),
        ("each pin twice", Fault::DuplicateItems),
        ("a delay", Fault::Delay { milliseconds: 300 }),
        (
            "an unknown field",
            Fault::EditJson { set: json!({"surprise": [1]}).as_object().cloned().unwrap_or_default(), remove: vec![] },
        ),
        ("a wrong content type", Fault::WrongContentType { value: "text/html".into() }),
    ];
    let names: Vec<_> = cases.iter().map(|(name, _)| *name).collect();
    let (world, mut client) = world(&names)?.with_session()?;
    for (name, fault) in &cases {
        let rule = Rule::on(pages_of(&world, name)?, fault.clone());
        world.sandbox.faults().add(if *fault == Fault::EmptyPageWithBookmark { rule.once() } else { rule });
        let row = import(&mut client, name)?;
        assert_eq!((row.pins_listed, row.embedded), (PINS, PINS), "{name}: {row:?}");
    }
    Ok(())
}

#[test]
fn an_expired_bookmark_restarts_the_listing() -> Result<()> {
    let (world, mut client) = world(&["Beach"])?.with_session()?;
    // The import waits with the bookmark of the second page, which is invalid when it continues.
    world.sandbox.faults().add(
        Rule::on(Kind::BoardPins, Fault::RateLimited { retry_after: Some("1".into()), reset: None }).skip(1).once(),
    );
    let import = queue_board(&mut client, "Beach")?;
    until_state(&mut client, import, "waiting_quota")?;
    world.sandbox.expire_bookmarks();
    let row = complete(&mut client, import)?;
    assert_eq!((row.pins_listed, row.total, row.embedded), (PINS, PINS, PINS), "{row:?}");
    // The first page, the refusal, the expired bookmark, and all three pages again.
    assert_eq!(world.sandbox.requests().count(Kind::BoardPins), 6);
    Ok(())
}
