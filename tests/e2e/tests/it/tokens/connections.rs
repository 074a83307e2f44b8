//! A code is exchanged once, and the response is stored however the call ends.

use e2e::ServerUser;

use crate::support::oauth::{arrived, doctor, kill_worker, refresh, status};
use crate::support::prelude::*;
use crate::support::refresh_steps::until_blocked;

const CONNECT: &str = "SELECT pinterest_connect($1, $2)";

/// The code and state of a user's consent.
fn consented(world: &World, client: &mut Client) -> Result<(String, String)> {
    let url: String = client.value("SELECT pinterest_authorize_url()")?;
    let redirect = world.browser()?.authorize(&url)?;
    Ok((redirect.code, redirect.state))
}

/// Checks that the account has the tokens of the last consent, as earlier ones could not be refreshed.
fn is_connected_again(world: &World, client: &mut Client, before: i64) -> Result<()> {
    until("the tokens", || {
        let consent = "SELECT COALESCE(max(consent), 0) FROM pinterest.token JOIN pinterest.account USING (account_id)
                        WHERE identity_due IS NULL";
        Ok(client.value::<i64>(consent)? > before)
    })?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.account")?, 1);
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    refresh(client, Some(world.account()))?;
    assert_eq!(status(client)?, "connected");
    Ok(())
}

fn consent(client: &mut Client) -> Result<i64> {
    client.value("SELECT max(consent) FROM pinterest.token")
}

#[test]
fn tokens_are_stored_regardless_of_the_callers_transaction() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    for (begin, end) in [
        ("BEGIN", "ROLLBACK"),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pinterest.accounts", "COMMIT"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT FROM pinterest.accounts", "ROLLBACK"),
        ("BEGIN; SAVEPOINT s", "ROLLBACK TO s; COMMIT"),
        ("BEGIN; SELECT pinterest_pause_account(1, false)", "ROLLBACK"),
    ] {
        let before = consent(&mut client)?;
        let (code, state) = consented(&world, &mut client)?;
        let mut caller = world.connect()?;
        caller.batch_execute(begin)?;
        let account: i64 = caller.value_with(CONNECT, &[&code, &state])?;
        assert_eq!(account, world.account(), "{begin}");
        caller.batch_execute(end)?;
        is_connected_again(&world, &mut client, before)?;
    }
    // A statement that fails after the call.
    let before = consent(&mut client)?;
    let (code, state) = consented(&world, &mut client)?;
    expect_refusal(client.query_one("SELECT 1 / (pinterest_connect($1, $2) * 0)", &[&code, &state]), "22012");
    is_connected_again(&world, &mut client, before)
}

#[test]
fn the_answer_is_stored_after_the_caller_has_ended() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    for end in ["pg_cancel_backend", "pg_terminate_backend"] {
        let before = consent(&mut client)?;
        let asked = arrived(&world);
        let (code, state) = consented(&world, &mut client)?;
        world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: end.into() }).once());
        let mut caller = world.connect()?;
        let pid: i32 = caller.value("SELECT pg_backend_pid()")?;
        let call = std::thread::spawn(move || caller.query_one(CONNECT, &[&code, &state]).map(drop));
        assert!(world.sandbox.requests().wait_for(Kind::Token, asked + 1, SOON));
        client.query_one(&format!("SELECT {end}($1)"), &[&pid])?;
        let Ok(outcome) = call.join() else { panic!("the caller panicked") };
        assert!(outcome.is_err());
        world.sandbox.faults().release(end);
        is_connected_again(&world, &mut client, before)?;
    }
    Ok(())
}

#[test]
fn predictable_refusals_do_not_spend_the_code() -> Result<()> {
    // Launcher and supervisor use the two slots.
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 2))
        .connected(false)
        .setting("max_worker_processes", "2")
        .start()?
        .with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    // Registering an app needs no worker.
    world.register_app(&mut client, "sandbox")?;
    let (code, state) = consented(&world, &mut client)?;
    let asked = world.sandbox.requests().count(Kind::Token);
    expect_refusal(client.query_one(CONNECT, &[&code, &state]), "53000").hints("max_worker_processes");

    client.batch_execute("BEGIN; SAVEPOINT s")?;
    let own: String = client.value("SELECT pinterest_authorize_url()")?;
    let own = world.browser()?.authorize(&own)?;
    client.batch_execute("RELEASE s")?;
    expect_refusal(client.query_one(CONNECT, &[&own.code, &own.state]), "55000").hints("Commit the transaction");
    client.batch_execute("ROLLBACK")?;

    client.batch_execute("BEGIN READ ONLY")?;
    expect_refusal(client.query_one(CONNECT, &[&code, &state]), "25006");
    client.batch_execute("ROLLBACK")?;

    let key = world.cluster.data_directory().join("pinterest.key");
    let moved = world.cluster.directory().join("moved.key");
    std::fs::rename(&key, &moved)?;
    expect_refusal(client.query_one(CONNECT, &[&code, &state]), "F0000");
    std::fs::rename(&moved, &key)?;
    assert_eq!(world.sandbox.requests().count(Kind::Token), asked, "the code was not sent");

    world.cluster.set("max_worker_processes", "8")?;
    world.cluster.restart(Stop::Fast)?;
    let mut client = world.connect()?;
    let account: i64 = client.value_with(CONNECT, &[&code, &state])?;
    refresh(&mut client, Some(account))?;
    Ok(())
}

#[test]
fn a_state_stays_valid_if_the_code_was_not_spent() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let (code, state) = consented(&world, &mut client)?;
    let before = consent(&mut client)?;
    let maintenance =
        Fault::Status { status: 400, code: 99, message: "maintenance".into(), headers: Default::default() };
    world.sandbox.faults().add(Rule::on(Kind::Token, maintenance).once());
    expect_refusal(client.query_one(CONNECT, &[&code, &state]), "08006");
    client.query_one(CONNECT, &[&code, &state])?;
    is_connected_again(&world, &mut client, before)
}

#[test]
fn a_failed_request_for_the_user_is_repeated() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    // A single failure has no effect.
    let before = consent(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::ServerError { status: 503 }).once());
    assert_eq!(world.connect_account(&mut client)?, world.account());
    is_connected_again(&world, &mut client, before)?;

    // Until a longer failure ends, there is a separate account, which blocks no other.
    let before = consent(&mut client)?;
    let rule = world.sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::ServerError { status: 503 }));
    let nameless = world.connect_account(&mut client)?;
    assert_ne!(nameless, world.account());
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    refresh(&mut client, None)?;
    let board = "SELECT pinterest_import_board('Beach', account_id => $1)";
    let import: i64 = client.value_with(board, &[&nameless])?;
    world.sandbox.faults().remove(rule);
    client.batch_execute(
        "UPDATE pinterest.account SET identity_due = clock_timestamp() WHERE identity_due IS NOT NULL",
    )?;
    queue_board(&mut client, "Beach")?;
    is_connected_again(&world, &mut client, before)?;
    complete(&mut client, import)?;
    let account: i64 =
        client.value_with("SELECT account_id FROM pinterest.imports WHERE import_id = $1", &[&import])?;
    assert_eq!(account, world.account(), "it continues in the user's existing account");
    Ok(())
}

#[test]
fn the_first_account_works_before_its_user_is_known() -> Result<()> {
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 2)).connected(false).start()?.with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.register_app(&mut client, "sandbox")?;
    let rule = world.sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::ServerError { status: 503 }));
    let account = world.connect_account(&mut client)?;
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1, "the only account");
    world.sandbox.faults().remove(rule);
    client.batch_execute("UPDATE pinterest.account SET identity_due = clock_timestamp()")?;
    queue_board(&mut client, "Beach")?;
    wait_for("the user's name", SOON, || {
        let name = "SELECT username IS NOT NULL AND identity_due IS NULL FROM pinterest.account";
        Ok(client.value::<bool>(name)?.then_some(()))
    })?;
    assert_eq!(world.connect_account(&mut client)?, account);
    Ok(())
}

/// However the request for the user fails, and however often, there is one account in the end.
#[test]
fn failed_requests_for_the_user_leave_one_account() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let account = world.account();
    let without_id = Fault::EditJson { set: Default::default(), remove: vec!["id".into()] };
    let failure = serde_json::json!({"code": 12, "message": "Something went wrong", "status": "failure"});
    let limited = Fault::RateLimited { retry_after: Some("40".into()), reset: None };
    for fault in [
        Fault::AppWithoutAccess,
        without_id,
        limited,
        Fault::LostAnswer,
        Fault::JsonAnswer { status: 200, body: failure },
        Fault::HtmlAnswer { status: 403 },
        Fault::EmptyAnswer { status: 401 },
        Fault::ServerError { status: 503 },
    ] {
        let case = format!("{fault:?}");
        let before = consent(&mut client)?;
        let rule = world.sandbox.faults().add(Rule::on(Kind::UserAccount, fault));
        for _ in 0..2 {
            assert_ne!(world.connect_account(&mut client)?, account, "{case}");
        }
        // Meanwhile the separate accounts block no other.
        assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1, "{case}");
        world.sandbox.faults().remove(rule);
        client.batch_execute(
            "UPDATE pinterest.account SET identity_due = clock_timestamp() WHERE identity_due IS NOT NULL;
             UPDATE pinterest.app SET access_probe_at = clock_timestamp() WHERE access_refused_since IS NOT NULL",
        )?;
        client.query_one("SELECT pinterest_pause_account($1, false)", &[&account])?;
        client.until("SELECT count(*) FROM pinterest.account", 1_i64)?;
        is_connected_again(&world, &mut client, before)?;
    }
    Ok(())
}

/// Two consents of one user, of which the earlier one is identified last.
#[test]
fn an_earlier_consent_does_not_replace_a_later_one() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let rule = world.sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::ServerError { status: 503 }));
    let nameless = world.connect_account(&mut client)?;
    assert_ne!(nameless, world.account());
    world.sandbox.faults().remove(rule);
    assert_eq!(world.connect_account(&mut client)?, world.account());
    let later = consent(&mut client)?;
    client.batch_execute(
        "UPDATE pinterest.account SET identity_due = clock_timestamp() WHERE identity_due IS NOT NULL",
    )?;
    queue_board(&mut client, "Beach")?;
    client.until("SELECT count(*) FROM pinterest.account", 1_i64)?;
    assert_eq!(consent(&mut client)?, later);
    is_connected_again(&world, &mut client, later - 1)
}

#[test]
fn only_a_missing_scope_ends_requests_for_the_user_at_once() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let due = "SELECT identity_due IS NOT NULL FROM pinterest.account WHERE account_id = $1";
    let rule = world.sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::MissingScope));
    let withheld = world.connect_account(&mut client)?;
    assert!(!client.value_with::<bool>(due, &[&withheld])?);
    world.sandbox.faults().remove(rule);

    world.sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::Forbidden));
    let nameless = world.connect_account(&mut client)?;
    assert!(client.value_with::<bool>(due, &[&nameless])?);
    let board = "SELECT pinterest_import_board('Beach', account_id => $1)";
    let import: i64 = client.value_with(board, &[&nameless])?;
    let reason = "SELECT reason FROM pinterest.imports WHERE import_id = $1";
    let reason: Option<String> = client.value_with(reason, &[&import])?;
    assert_eq!(reason.as_deref(), Some("waits until Pinterest reports the account's user"));
    // Refusals that last for a day, as from a gateway.
    let asked = world.sandbox.requests().count(Kind::UserAccount);
    let ask = "UPDATE pinterest.account SET identity_due = clock_timestamp() WHERE identity_due IS NOT NULL";
    client.batch_execute(ask)?;
    let another: i64 = client.value_with(board, &[&withheld])?;
    assert!(world.sandbox.requests().wait_for(Kind::UserAccount, asked + 1, SOON));
    complete(&mut client, another)?;
    assert!(client.value_with::<bool>(due, &[&nameless])?, "the request was refused");
    client.batch_execute("UPDATE pinterest.account SET connected_at = clock_timestamp() - '25 hours'::interval")?;
    client.batch_execute(ask)?;
    client.query_one(board, &[&withheld])?;
    complete(&mut client, import)?;
    Ok(())
}

#[test]
fn reassigning_an_app_does_not_delay_a_consent() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    world.cluster.create_role("heir")?;
    let before = consent(&mut client)?;
    let (code, state) = consented(&world, &mut client)?;
    let asked = arrived(&world);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "code".into() }).once());
    let mut caller = world.connect()?;
    let call = std::thread::spawn(move || caller.query_one(CONNECT, &[&code, &state]).map(drop));
    assert!(world.sandbox.requests().wait_for(Kind::Token, asked + 1, SOON));
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN; SELECT pinterest_reassign(current_user, 'heir')")?;
    world.sandbox.faults().release("code");
    until("the consent to be stored", || Ok(consent(&mut client)? > before))?;
    blocker.batch_execute("ROLLBACK")?;
    let _ = call.join();
    is_connected_again(&world, &mut client, before)
}

/// Tokens for a locked account are stored separately, and moved to the account later.
#[test]
fn a_lock_on_the_account_does_not_delay_storing() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let before = consent(&mut client)?;
    let (code, state) = consented(&world, &mut client)?;
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN; SELECT FROM pinterest.account, pinterest.token FOR UPDATE")?;
    let account: i64 = client.value_with(CONNECT, &[&code, &state])?;
    assert_eq!(account, world.account());
    until_blocked(&mut client)?;
    assert!(consent(&mut client)? > before, "stored, but not in the locked row");
    blocker.batch_execute("ROLLBACK")?;
    is_connected_again(&world, &mut client, before)
}

#[test]
fn tokens_survive_a_kill_right_after_the_exchange() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let before = consent(&mut client)?;
    let (code, state) = consented(&world, &mut client)?;
    let asked = world.sandbox.requests().count(Kind::UserAccount);
    world.sandbox.faults().add(Rule::on(Kind::UserAccount, Fault::Hold { gate: "name".into() }).once());
    let mut caller = world.connect()?;
    let call = std::thread::spawn(move || caller.query_one(CONNECT, &[&code, &state]).map(drop));
    assert!(world.sandbox.requests().wait_for(Kind::UserAccount, asked + 1, SOON));
    let mut client = kill_worker(&world)?;
    let _ = call.join();
    world.sandbox.faults().release("name");
    client.batch_execute(
        "UPDATE pinterest.account SET identity_due = clock_timestamp() WHERE identity_due IS NOT NULL",
    )?;
    is_connected_again(&world, &mut client, before)
}

#[test]
fn a_moved_default_key_is_reported_as_missing() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let key = world.cluster.data_directory().join("pinterest.key");
    let moved = world.cluster.directory().join("moved.key");
    std::fs::rename(&key, &moved)?;
    for call in
        ["SELECT * FROM pinterest_list_boards()", "SELECT pinterest_store_token('token', username => 'another')"]
    {
        let refused = client.refused(call, "F0000");
        assert!(refused.message.contains("missing") && refused.hint.contains("pinterest.key_file"), "{refused:?}");
    }
    assert!(!key.exists(), "no new key was created");
    assert_eq!(doctor(&mut client, "key")?.0, "problem");
    ServerUser::get()?.own(&moved)?;
    world.cluster.set("pinterest.key_file", &moved.display().to_string())?;
    world.cluster.restart(Stop::Fast)?;
    let mut client = world.connect()?;
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    refresh(&mut client, None)?;
    Ok(())
}
