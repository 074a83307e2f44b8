//! Pinterest's quota: a ledger filled from its answers and shared by the accounts of a budget. Imports wait for the
//! quota without requests.

use std::ops::RangeInclusive;

use sandbox::config::Tier;

use crate::support::prelude::*;
use crate::support::worlds::{API, asked, queue_for, two_people};

const MINUTES: Duration = Duration::from_secs(600);

/// Registers the app again, with standard access.
fn upgrade(world: &World, client: &mut Client) -> Result<()> {
    let app = &world.sandbox.config().app;
    client.query_one(
        "SELECT pinterest_register_app('sandbox', $1, $2, $3, tier => 'standard')",
        &[&app.client_id, &app.client_secret, &app.redirect_uris[0]],
    )?;
    Ok(())
}

/// Seconds until a waiting import continues.
fn wait_of(client: &mut Client, import: i64) -> Result<f64> {
    let sql =
        "SELECT extract(epoch FROM wake_at - clock_timestamp())::float8 FROM pinterest.imports WHERE import_id = $1";
    client.value_with(sql, &[&import])
}

/// Moves the time at which budgets are renewed and imports continue to now.
fn time_has_come(client: &mut Client, account: i64) -> Result<()> {
    client.batch_execute(
        "UPDATE pinterest.quota_ledger SET reset_at = clock_timestamp();
         UPDATE pinterest.import SET wake_at = clock_timestamp() WHERE state = 'waiting_quota'",
    )?;
    // Only wakes the worker.
    client.query_one("SELECT pinterest_pause_account($1, false)", &[&account])?;
    Ok(())
}

/// The lines of the ledger: account, limit and remaining requests.
fn ledger(client: &mut Client) -> Result<Vec<(Option<i64>, i64, i64)>> {
    let rows = client.query(
        "SELECT account_id, request_limit, remaining,
                app = 'sandbox' AND observed_at IS NOT NULL AND window_length BETWEEN interval '9 minutes' AND interval '10 minutes'
                AND reset_at - clock_timestamp() BETWEEN interval '9 minutes' AND interval '10 minutes'
           FROM pinterest.quota ORDER BY account_id",
        &[],
    )?;
    assert!(rows.iter().all(|row| row.get(3)), "{rows:?}");
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

#[test]
fn with_trial_access_an_apps_accounts_share_one_budget() -> Result<()> {
    let (world, mut client, accounts) = two_people(Tier::Custom { limit: 70, window: MINUTES, shared: true }, 1)?;
    for (account, board) in accounts.into_iter().zip(["Amy 1", "Ben 1"]) {
        let import = queue_for(&mut client, account, board)?;
        assert_eq!(complete(&mut client, import)?.pins_listed, 5);
        assert_eq!(ledger(&mut client)?, [(None, 70, 70 - asked(&world))]);
    }
    Ok(())
}

#[test]
fn with_standard_access_each_account_has_its_own_budget() -> Result<()> {
    let (world, mut client, [amy, ben]) = two_people(Tier::Custom { limit: 70, window: MINUTES, shared: false }, 1)?;
    upgrade(&world, &mut client)?;
    let before = asked(&world);
    let import = queue_for(&mut client, amy, "Amy 1")?;
    complete(&mut client, import)?;
    let spent = asked(&world) - before;
    let of_amy = ledger(&mut client)?;
    assert!(matches!(of_amy[..], [(Some(account), 70, _)] if account == amy), "{of_amy:?}");

    // The same work costs the other account the same; the first account's line does not change.
    let import = queue_for(&mut client, ben, "Ben 1")?;
    complete(&mut client, import)?;
    assert_eq!(asked(&world) - before, 2 * spent);
    let both = ledger(&mut client)?;
    assert_eq!(both, [of_amy[0], (Some(ben), 70, of_amy[0].2)]);
    Ok(())
}

#[test]
fn imports_wait_for_each_form_of_rate_limit_and_keep_their_bookmark() -> Result<()> {
    let limited = |retry_after: Option<&str>, reset: Option<u64>| Fault::RateLimited {
        retry_after: retry_after.map(str::to_owned),
        reset,
    };
    // At most a tenth is added to a wait that Pinterest states; otherwise, the wait is two to six seconds.
    let cases: [(Fault, RangeInclusive<f64>); 8] = [
        (limited(Some("40"), None), 35.0..=44.0),
        (limited(None, None), 0.0..=6.0),
        (limited(None, Some(40)), 35.0..=44.0),
        (Fault::trial_quota_spent(), 67_140.0..=73_866.0),
        (limited(Some("Wed, 21 Oct 2099 07:28:00 GMT"), None), 86_390.0..=95_040.0),
        (limited(Some("soon"), None), 0.0..=6.0),
        (Fault::RetryAfterText { seconds: 40 }, 35.0..=44.0),
        (Fault::Spam, 21_590.0..=23_760.0),
    ];
    let (world, mut client, [amy, _]) = two_people(Tier::Standard, cases.len())?;
    for (number, (fault, expected)) in cases.into_iter().enumerate() {
        let case = format!("{fault:?}");
        let before = world.sandbox.requests().count(Kind::BoardPins);
        let rule = world.sandbox.faults().add(Rule::on(Kind::BoardPins, fault).skip(1).once());
        let import = queue_for(&mut client, amy, &format!("Amy {}", number + 1))?;
        let row = until_state(&mut client, import, "waiting_quota")?;
        let wait = wait_of(&mut client, import)?;
        assert!(expected.contains(&wait), "{case}: {wait} s");
        assert_eq!(
            (row.error_code.as_str(), row.pins_listed, row.phase.as_str()),
            ("53400", 2, "listing"),
            "{case}: {row:?}"
        );
        assert!(!row.reason.is_empty(), "{case}");
        let kept: bool =
            client.value(&format!("SELECT bookmark <> '' FROM pinterest.import WHERE import_id = {import}"))?;
        assert!(kept, "{case}");
        assert!(world.sandbox.faults().fired(rule) == 1, "{case}");
        world.sandbox.faults().remove(rule);

        time_has_come(&mut client, amy)?;
        assert_eq!(complete(&mut client, import)?.pins_listed, 5, "{case}");
        // The first page, the refusal and the other two pages: no page is listed twice.
        assert_eq!(world.sandbox.requests().count(Kind::BoardPins) - before, 4, "{case}");
    }
    Ok(())
}

#[test]
fn accounts_with_a_spent_budget_make_no_requests() -> Result<()> {
    let (world, mut client, [amy, ben]) = two_people(Tier::Standard, 2)?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::trial_quota_spent()).once());
    let amys = queue_for(&mut client, amy, "Amy 1")?;
    until_state(&mut client, amys, "waiting_quota")?;
    let asked_before = asked(&world);
    let bens = queue_for(&mut client, ben, "Ben 1")?;
    let waits = |client: &mut Client, import: i64| -> Result<()> {
        let row = until_state(client, import, "waiting_quota")?;
        assert_eq!(row.error_code, "53400", "{row:?}");
        let wait = wait_of(client, import)?;
        assert!((66_000.0..74_000.0).contains(&wait), "{wait} s");
        Ok(())
    };
    waits(&mut client, bens)?;
    assert_eq!(asked(&world), asked_before);
    assert_eq!(client.value::<i64>("SELECT remaining FROM pinterest.quota")?, 0);

    // The quota survives a restart.
    world.cluster.restart(Stop::Fast)?;
    let mut client = wait_for("the server to accept connections", SOON, || Ok(world.connect().ok()))?;
    let more = queue_for(&mut client, ben, "Ben 2")?;
    for import in [amys, bens, more] {
        waits(&mut client, import)?;
    }
    assert_eq!(asked(&world), asked_before);

    // With a separate budget, the account does not wait for the other one's.
    upgrade(&world, &mut client)?;
    client.query_one("SELECT pinterest_cancel_import($1)", &[&more])?;
    let own = queue_for(&mut client, ben, "Ben 2")?;
    complete(&mut client, own)?;
    assert_eq!(Row::of(&mut client, amys)?.state, "waiting_quota");

    time_has_come(&mut client, amy)?;
    for import in [amys, bens] {
        assert_eq!(complete(&mut client, import)?.pins_listed, 5);
    }
    Ok(())
}

#[test]
fn a_refusal_without_a_time_keeps_the_default_window() -> Result<()> {
    let (world, mut client, [amy, _]) = two_people(Tier::Standard, 1)?;
    let silent = Fault::RateLimited { retry_after: None, reset: None };
    world.sandbox.faults().add(Rule::on(Kind::Boards, silent).once());
    let import = queue_for(&mut client, amy, "Amy 1")?;
    until_state(&mut client, import, "waiting_quota")?;
    assert!(client.value::<bool>("SELECT window_length = interval '1 day' FROM pinterest.quota")?);
    Ok(())
}

/// Category, limit, window in seconds, whether requests are paced, and remaining requests.
fn budget(client: &mut Client) -> Result<(String, i64, i64, bool, i64)> {
    let row = client.query_one(
        "SELECT category, request_limit, extract(epoch FROM window_length)::bigint, pace IS NOT NULL, remaining FROM pinterest.quota",
        &[],
    )?;
    Ok((row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)))
}

#[test]
fn the_budget_is_the_policy_of_the_category() -> Result<()> {
    const SAFETY_NET: &str = "100;w=1;name=\"safety_net_app_id_user_id\"";
    const OWN: &str = "1000;w=60;name=\"org_read_app_id_user_id\"";
    let (world, mut client, [amy, _]) = two_people(Tier::Standard, 3)?;
    let lines: [Vec<String>; 3] = [
        vec![format!("100, {SAFETY_NET}, {OWN}")],
        vec![format!("{OWN}, 9;w=, ;;, \"a, b\";w=1, {SAFETY_NET}")],
        vec!["100".into(), OWN.into(), SAFETY_NET.into()],
    ];
    for (number, lines) in lines.into_iter().enumerate() {
        let case = format!("{lines:?}");
        for kind in API {
            let set = [
                ("x-ratelimit-limit", lines.clone()),
                ("x-ratelimit-remaining", vec!["99".into()]),
                ("x-ratelimit-reset", vec!["1".into()]),
            ];
            let set = set.into_iter().map(|(name, lines)| (name.to_owned(), lines)).collect();
            world.sandbox.faults().add(Rule::on(kind, Fault::Headers { set }));
        }
        let import = queue_for(&mut client, amy, &format!("Amy {}", number + 1))?;
        complete(&mut client, import)?;
        let (category, limit, window, paced, left) = budget(&mut client)?;
        assert_eq!((category.as_str(), limit, window, paced), ("org_read", 1000, 60, true), "{case}");
        assert!((900..1000).contains(&left), "{case}: {left}");
    }
    Ok(())
}

#[test]
fn a_limit_per_second_paces_requests_and_is_not_exceeded() -> Result<()> {
    let mut config = quick_board("Beach", 5);
    config.per_second = Some(2);
    config.faults.push(Rule::on(Kind::BoardPins, Fault::ShortPage { items: 1 }));
    let (world, mut client) = World::of(config)?.with_session()?;
    let import = queue_board(&mut client, "Beach")?;
    assert_eq!(complete(&mut client, import)?.pins_listed, 5);
    let refused = world.sandbox.requests().latest().iter().filter(|request| request.status == Some(429)).count();
    assert_eq!(refused, 0);
    let (_, limit, window, paced, left) = budget(&mut client)?;
    assert_eq!((limit, window, paced), (1000, 60, true));
    assert!((900..1000).contains(&left), "{left}");
    Ok(())
}

#[test]
fn a_refusal_of_fast_requests_does_not_spend_the_budget() -> Result<()> {
    let (world, mut client, [amy, _]) = two_people(Tier::Standard, 1)?;
    let headers = [
        ("x-ratelimit-limit", "9, 9;w=1, 1000;w=60;name=org_read"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1"),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let fault = Fault::Status { status: 429, code: 8, message: "Slow down".into(), headers };
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, fault).once());
    let import = queue_for(&mut client, amy, "Amy 1")?;
    complete(&mut client, import)?;
    let (.., left) = budget(&mut client)?;
    assert!(left > 900, "{left}");
    Ok(())
}

#[test]
fn repeated_refusals_without_a_time_lengthen_the_pause() -> Result<()> {
    const REFUSED: &str = "SELECT COALESCE(max(refused_in_row), 0) FROM pinterest.quota_ledger";
    let (world, mut client, [amy, _]) = two_people(Tier::Standard, 1)?;
    // The pauses as they are when they are stored; the first ones may end before a slow session reads them.
    client.batch_execute(
        "CREATE TABLE pauses (number int, seconds float8);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
             INSERT INTO public.pauses
             VALUES (NEW.refused_in_row, extract(epoch FROM NEW.reset_at - clock_timestamp())); RETURN NULL; END $$;
         CREATE TRIGGER note AFTER UPDATE ON pinterest.quota_ledger FOR EACH ROW
             WHEN (NEW.refused_in_row > OLD.refused_in_row) EXECUTE FUNCTION note()",
    )?;
    let silent = Fault::RateLimited { retry_after: None, reset: None };
    let rule = world.sandbox.faults().add(Rule::on(Kind::Boards, silent));
    let import = queue_for(&mut client, amy, "Amy 1")?;
    for number in 1..4 {
        until("the refusal", || Ok(client.value::<i32>(REFUSED)? >= number))?;
        until_state(&mut client, import, "waiting_quota")?;
        time_has_come(&mut client, amy)?;
    }
    world.sandbox.faults().remove(rule);
    until("no refusal", || {
        time_has_come(&mut client, amy)?;
        Ok(Row::of(&mut client, import)?.state == "completed")
    })?;
    assert_eq!(client.value::<i32>(REFUSED)?, 0);
    for (number, expected) in (1..).zip([2.9..=6.0, 8.9..=18.0, 26.9..=54.0]) {
        let pause: f64 = client.value_with("SELECT seconds FROM pauses WHERE number = $1", &[&number])?;
        assert!(expected.contains(&pause), "{number}: {pause} s");
    }
    Ok(())
}
