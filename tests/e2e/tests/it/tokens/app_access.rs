//! 401 with code 3 means an app without access, a missing scope, a restricted feature, or an unstated reason. The cases
//! are distinguished, and imports that wait for access continue without a call.

use std::collections::BTreeMap;

use sandbox::config::Tier;
use serde_json::json;

use crate::support::oauth::{doctor, status};
use crate::support::prelude::*;
use crate::support::worlds::{asked, queue_for, two_people};

const API: [Kind; 5] = [Kind::UserAccount, Kind::Boards, Kind::Board, Kind::BoardPins, Kind::Sections];

fn code_3(message: &str) -> Fault {
    Fault::Status { status: 401, code: 3, message: message.into(), headers: BTreeMap::new() }
}

fn refuse_all(world: &World, fault: &Fault) {
    for kind in API {
        world.sandbox.faults().add(Rule::on(kind, fault.clone()));
    }
}

/// Makes the next probe due and wakes the worker.
fn probe_is_due(client: &mut Client, account: i64) -> Result<()> {
    client.batch_execute(
        "UPDATE pinterest.app SET access_probe_at = clock_timestamp() WHERE access_refused_since IS NOT NULL;
         UPDATE pinterest.import SET wake_at = clock_timestamp() WHERE state = 'waiting_access'",
    )?;
    look(client, account)
}

/// Only wakes the worker.
fn look(client: &mut Client, account: i64) -> Result<()> {
    client.query_one("SELECT pinterest_pause_account($1, false)", &[&account])?;
    Ok(())
}

fn refusals(client: &mut Client) -> Result<i32> {
    client.value("SELECT access_refusals FROM pinterest.app")
}

#[test]
fn imports_wait_for_the_apps_access_with_few_probes() -> Result<()> {
    let (world, mut client, [amy, ben]) = two_people(Tier::Standard, 4)?;
    refuse_all(&world, &Fault::AppWithoutAccess);
    let before = asked(&world);
    let mut imports = vec![queue_for(&mut client, amy, "Amy 1")?];
    let row = until_state(&mut client, imports[0], "waiting_access")?;
    assert_eq!(row.error_code, "55000", "{row:?}");
    assert!(row.reason.contains("consumer type") && row.hint.contains("developers.pinterest.com"), "{row:?}");
    assert!(!row.hint.contains("scope") && !row.hint.contains("shared"), "{row:?}");
    assert_eq!(asked(&world) - before, 1);

    // The other imports wait without a request, and show the reason.
    for number in 2..=4 {
        imports.push(queue_for(&mut client, amy, &format!("Amy {number}"))?);
    }
    for number in 1..=4 {
        imports.push(queue_for(&mut client, ben, &format!("Ben {number}"))?);
    }
    for import in &imports {
        let row = until_state(&mut client, *import, "waiting_access")?;
        assert_eq!((row.error_code.as_str(), row.reason.contains("consumer type")), ("55000", true), "{row:?}");
    }
    until("all imports to be held", || {
        let awake = "SELECT count(*) FROM pinterest.import WHERE due IS NOT NULL";
        Ok(client.value::<i64>(awake)? <= 1)
    })?;
    assert_eq!(asked(&world) - before, 1, "the other imports make no requests");
    let causes = "SELECT count(*) FROM pinterest.accounts WHERE cause LIKE 'no_access: %' AND status = 'connected'";
    assert_eq!(client.value::<i64>(causes)?, 2);
    let (found, detail) = doctor(&mut client, "app access").map(|row| (row.0, row.1))?;
    assert_eq!((found.as_str(), detail.contains("consumer type")), ("problem", true), "{detail}");
    expect_refusal(client.query("SELECT * FROM pinterest_list_boards($1)", &[&amy]), "55000")
        .hints("developers.pinterest.com");

    // One probe for all accounts, and a longer pause after it.
    for number in 2..=3 {
        let before = asked(&world);
        probe_is_due(&mut client, amy)?;
        until("a probe", || Ok(refusals(&mut client)? == number))?;
        look(&mut client, amy)?;
        look(&mut client, ben)?;
        assert_eq!(asked(&world) - before, 1, "probe {number}");
    }
    let pause: f64 =
        client.value("SELECT extract(epoch FROM access_probe_at - clock_timestamp())::float8 FROM pinterest.app")?;
    assert!((100.0..=132.0).contains(&pause), "{pause}");

    world.sandbox.faults().clear();
    probe_is_due(&mut client, amy)?;
    for import in imports {
        complete(&mut client, import)?;
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.accounts WHERE cause IS NOT NULL")?, 0);
    assert_eq!(doctor(&mut client, "app access")?.0, "ok");
    Ok(())
}

/// No call or change triggers the probe.
#[test]
fn granted_access_is_detected() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    refuse_all(&world, &code_3("This app has not been approved yet; request trial access"));
    let import = queue_board(&mut client, "Beach")?;
    until_state(&mut client, import, "waiting_access")?;
    world.sandbox.faults().clear();
    complete(&mut client, import)?;
    Ok(())
}

#[test]
fn registering_an_app_again_triggers_a_probe() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    refuse_all(&world, &Fault::AppWithoutAccess);
    let import = queue_board(&mut client, "Beach")?;
    until_state(&mut client, import, "waiting_access")?;
    client.batch_execute(
        "UPDATE pinterest.app SET access_probe_at = clock_timestamp() + '1 day'::interval;
        UPDATE pinterest.import SET wake_at = clock_timestamp() + '1 day'::interval",
    )?;
    world.sandbox.faults().clear();
    world.register_app(&mut client, "sandbox")?;
    complete(&mut client, import)?;
    Ok(())
}

/// If other accounts are answered, the refusal does not concern the app, whatever its message.
#[test]
fn the_refusal_of_one_account_stops_no_other() -> Result<()> {
    let (world, mut client, [amy, ben]) = two_people(Tier::Standard, 2)?;
    client.query("SELECT * FROM pinterest_list_boards($1)", &[&amy])?;
    let board: String = client.value("SELECT board_id FROM pinterest.board WHERE name = 'Amy 1'")?;
    world.sandbox.faults().add(Rule::on(format!("/v5/boards/{board}*"), Fault::AppWithoutAccess));
    let amys = queue_for(&mut client, amy, &board)?;
    until_state(&mut client, amys, "waiting_access")?;
    let bens = queue_for(&mut client, ben, "Ben 1")?;
    until_state(&mut client, bens, "waiting_access")?;
    wait_for("the import to be held", SOON, || {
        let held = format!("SELECT due IS NULL FROM pinterest.import WHERE import_id = {bens}");
        Ok(client.value::<bool>(&held)?.then_some(()))
    })?;
    probe_is_due(&mut client, amy)?;
    complete(&mut client, bens)?;
    // Only Amy's import is refused again.
    probe_is_due(&mut client, amy)?;
    wait_for("the refusal of Amy's import", SOON, || {
        let alone = format!(
            "SELECT state = 'waiting_access' AND wake_at > clock_timestamp() FROM pinterest.import WHERE import_id = {amys}"
        );
        Ok(client.value::<bool>(&alone)?.then_some(()))
    })?;
    let bens = queue_for(&mut client, ben, "Ben 2")?;
    complete(&mut client, bens)?;
    assert_eq!(until_state(&mut client, amys, "waiting_access")?.error_code, "55000");
    Ok(())
}

#[test]
fn the_probe_of_a_cancelled_import_is_made_by_another() -> Result<()> {
    let (world, mut client, [amy, ben]) = two_people(Tier::Standard, 1)?;
    refuse_all(&world, &Fault::AppWithoutAccess);
    let amys = queue_for(&mut client, amy, "Amy 1")?;
    until_state(&mut client, amys, "waiting_access")?;
    let bens = queue_for(&mut client, ben, "Ben 1")?;
    wait_for("the import to be held", SOON, || {
        let held = format!("SELECT due IS NULL FROM pinterest.import WHERE import_id = {bens}");
        Ok(client.value::<bool>(&held)?.then_some(()))
    })?;
    client.query_one("SELECT pinterest_cancel_import($1)", &[&amys])?;
    world.sandbox.faults().clear();
    complete(&mut client, bens)?;
    Ok(())
}

#[test]
fn the_meanings_of_code_3_are_distinguished() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let words = "Your application consumer type is not supported";
    for (fault, state, code, hint) in [
        (
            code_3("YOUR APPLICATION'S CONSUMER-TYPE ISN'T SUPPORTED!"),
            "waiting_access",
            "55000",
            "has not granted the app",
        ),
        (
            Fault::JsonAnswer {
                status: 401,
                body: json!({"code": "3", "message": "Authorization failed.", "data": words}),
            },
            "waiting_access",
            "55000",
            "has not granted the app",
        ),
        (code_3("Missing: ['pins:read']"), "needs_reauth", "42501", "with that scope"),
        (
            Fault::JsonAnswer { status: 403, body: json!({"code": 29, "message": {"detail": "no scope boards:read"}}) },
            "needs_reauth",
            "42501",
            "with that scope",
        ),
        (Fault::RestrictedFeature, "failed", "42501", "to some apps"),
        (code_3("Authorization failed."), "waiting_access", "42501", "does not state"),
        (code_3(""), "waiting_access", "42501", "does not state"),
    ] {
        let case = format!("{fault:?}");
        let rule = world.sandbox.faults().add(Rule::on(Kind::Board, fault.clone()));
        let other = world.sandbox.faults().add(Rule::on(Kind::Boards, fault));
        let import = queue_board(&mut client, "Beach")?;
        let row = until_state(&mut client, import, state)?;
        assert_eq!(row.error_code, code, "{case}: {row:?}");
        assert!(row.hint.contains(hint) && !row.reason.is_empty(), "{case}: {row:?}");
        assert!(status(&mut client)?.starts_with("connected"), "{case}: its tokens are fine");
        world.sandbox.faults().remove(rule);
        world.sandbox.faults().remove(other);
        // The import continues immediately after another consent.
        if state == "failed" {
            continue;
        }
        world.connect_account(&mut client)?;
        complete(&mut client, import)?;
    }
    Ok(())
}

#[test]
fn refused_sections_are_omitted_unless_requested() -> Result<()> {
    let mut config = quick_board("Beach", 3);
    config.accounts[0].boards[0].sections = vec!["Tables".to_owned()];
    let (world, mut client) = World::of(config)?.with_session()?;
    for fault in [Fault::RestrictedFeature, Fault::AppWithoutAccess, Fault::Forbidden, code_3("Authorization failed.")]
    {
        let case = format!("{fault:?}");
        let rule = world.sandbox.faults().add(Rule::on(Kind::Sections, fault));
        let row = import(&mut client, "Beach")?;
        assert_eq!(row.pins_removed, 0, "{case}: {row:?}");
        assert_eq!(doctor(&mut client, "app access")?.0, "ok", "{case}");
        world.sandbox.faults().remove(rule);
        client.batch_execute("SELECT FROM pinterest_purge_board('Beach')")?;
    }
    // An import of a section fails with the reason.
    world.sandbox.faults().add(Rule::on(Kind::Sections, Fault::RestrictedFeature));
    let import: i64 = client.value("SELECT pinterest_import_board('Beach', sections => ARRAY['Tables'])")?;
    let row = until_state(&mut client, import, "failed")?;
    assert!(row.reason.contains("restricted feature"), "{row:?}");
    Ok(())
}
