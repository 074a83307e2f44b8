//! Pinterest's token answers are stored despite locks, callers that give up, and long waits.

use e2e::process::Process;
use sandbox::config::{OldRefreshToken, TokenRules};

use crate::support::oauth::{USER, WORKER, arrived, generation, refresh, status, until_status, with_tokens};
use crate::support::prelude::*;
use crate::support::refresh_steps::{until_blocked, wanted, wanted_and_locked};

/// Longer than a worker waits for a lock in one try; with PATIENT set, longer than any timeout.
fn long() -> Duration {
    Duration::from_secs(if std::env::var_os("PATIENT").is_some() { 240 } else { 4 })
}

/// Locks that a role of level user, or a DBA who creates an index, can hold.
const BYSTANDERS: [&str; 7] = [
    "SELECT pinterest_pause_account(1)",
    "SELECT pinterest_cancel_import(1)",
    "LOCK pinterest.import IN SHARE MODE",
    "LOCK pinterest.board, pinterest.pin, pinterest.pin_image IN ACCESS EXCLUSIVE MODE",
    "SELECT pinterest_register_app('sandbox', client_id, 'another', redirect_uri) FROM pinterest.app",
    "SELECT FROM pinterest.account FOR UPDATE",
    "SELECT FROM pinterest.app FOR UPDATE",
];

#[test]
fn locks_on_other_rows_do_not_delay_storing() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let account = world.account();
    // A waiting import, so that there is work after the answer.
    let rule = world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::MissingScope));
    let import = queue_board(&mut client, "Beach")?;
    until_state(&mut client, import, "needs_reauth")?;
    world.sandbox.faults().remove(rule);
    for statement in BYSTANDERS {
        let before = generation(&mut client, account)?;
        let mut blocker = world.connect()?;
        blocker.batch_execute(&format!("BEGIN; {statement}"))?;
        let began = Instant::now();
        refresh(&mut client, Some(account))?;
        assert!(began.elapsed() < Duration::from_secs(20), "{statement}: {:?}", began.elapsed());
        assert!(generation(&mut client, account)? > before, "{statement}");
        // The worker sent the token once, and stored the answer: another refresh works.
        blocker.batch_execute("ROLLBACK")?;
        refresh(&mut client, Some(account))?;
        until_status(&mut client, account, "connected")?;
    }
    complete(&mut client, import)?;
    wait_for("everything to be settled", SOON, || {
        Ok(client.value::<bool>("SELECT NOT unsettled FROM pinterest.token")?.then_some(()))
    })
}

#[test]
fn storing_waits_for_the_row_of_the_tokens() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let before = arrived(&world);
    let (session, mut blocker) = wanted_and_locked(&world)?;
    until_blocked(&mut client)?;
    let generation_before = generation(&mut client, world.account())?;
    let deadline = Instant::now() + long();
    while Instant::now() < deadline {
        until_blocked(&mut client)?;
        assert_eq!(arrived(&world) - before, 1, "the token was sent once");
        assert_eq!(generation(&mut client, world.account())?, generation_before);
    }
    blocker.batch_execute("COMMIT")?;
    until("the answer to be stored", || Ok(generation(&mut client, world.account())? > generation_before))?;
    // The session may have given up, which loses nothing.
    let _ = session.join();
    refresh(&mut client, None)?;
    assert_eq!(arrived(&world) - before, 2);
    assert_eq!(status(&mut client)?, "connected");
    Ok(())
}

#[test]
fn tokens_stored_during_a_refresh_are_kept() -> Result<()> {
    for (act, commit) in [("store", true), ("store", false), ("disconnect", true), ("disconnect", false)] {
        let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
        let account = world.account();
        let before = arrived(&world);
        world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "answer".into() }).once());
        let session = wanted(&world)?;
        assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
        let mut blocker = world.connect()?;
        blocker.batch_execute("BEGIN")?;
        if act == "store" {
            let grant = world.sandbox.issue_grant(USER)?;
            blocker.query_one(
                "SELECT pinterest_store_token($1, $2, app => 'sandbox', account_id => $3)",
                &[&grant.access_token, &grant.refresh_token, &account],
            )?;
        } else {
            blocker.query_one("SELECT FROM pinterest_disconnect($1)", &[&account])?;
        }
        world.sandbox.faults().release("answer");
        until_blocked(&mut client)?;
        blocker.batch_execute(if commit { "COMMIT" } else { "ROLLBACK" })?;
        let _ = session.join();
        if act == "disconnect" && commit {
            assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.token")?, 0);
            assert_eq!(world.connect_account(&mut client)?, account);
        }
        refresh(&mut client, Some(account))?;
        assert_eq!(status(&mut client)?, "connected", "{act} {commit}");
    }
    Ok(())
}

#[test]
fn a_cancelled_import_does_not_discard_the_answer() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let before = arrived(&world);
    world.sandbox.expire_access_tokens(USER)?;
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "answer".into() }).once());
    let import = queue_board(&mut client, "Beach")?;
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    client.query_one("SELECT pinterest_cancel_import($1)", &[&import])?;
    until_state(&mut client, import, "cancelled")?;
    let generation_before = generation(&mut client, world.account())?;
    world.sandbox.faults().release("answer");
    until("the answer to be stored", || Ok(generation(&mut client, world.account())? > generation_before))?;
    refresh(&mut client, None)?;
    assert_eq!(arrived(&world) - before, 2);
    Ok(())
}

/// A terminated worker has three seconds, and one more try at its end.
#[test]
fn a_terminated_worker_stores_the_answer_after_the_lock_is_released() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let before = generation(&mut client, world.account())?;
    let (session, mut blocker) = wanted_and_locked(&world)?;
    until_blocked(&mut client)?;
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    client.query_one("SELECT pg_terminate_backend($1)", &[&worker.pid])?;
    until_blocked(&mut client)?;
    blocker.batch_execute("COMMIT")?;
    until("the worker to end", || Ok(Process::get(worker.pid).is_none()))?;
    assert!(generation(&mut client, world.account())? > before);
    let _ = session.join();
    refresh(&mut client, None)?;
    assert_eq!(status(&mut client)?, "connected");
    Ok(())
}

/// Generations are never reused: an answer or refusal from before a disconnect does not affect the next grant.
#[test]
fn answers_from_before_a_disconnect_are_ignored() -> Result<()> {
    for refused in [false, true] {
        let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
        let account = world.account();
        let before = arrived(&world);
        world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "old".into() }).once());
        if refused {
            world.sandbox.faults().add(Rule::on(Kind::Token, Fault::InvalidGrant).once());
        }
        let session = wanted(&world)?;
        assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
        let first = generation(&mut client, account)?;
        client.query_one("SELECT FROM pinterest_disconnect($1)", &[&account])?;
        assert_eq!(world.connect_account(&mut client)?, account);
        let second = generation(&mut client, account)?;
        assert!(second > first);
        world.sandbox.faults().release("old");
        let _ = session.join();
        assert_eq!(generation(&mut client, account)?, second);
        assert_eq!(status(&mut client)?, "connected");
        assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
        refresh(&mut client, None)?;
    }
    Ok(())
}

#[test]
fn only_a_definite_refusal_requires_the_user_and_a_refresh_can_clear_it() -> Result<()> {
    let single_use = TokenRules { old_refresh_token: OldRefreshToken::Dead, ..TokenRules::default() };
    let (world, mut client) = with_tokens(single_use).start()?.with_session()?;
    let account = world.account();
    let status_of = |status: u16, code: i64, message: &str| Fault::Status {
        status,
        code,
        message: message.into(),
        headers: Default::default(),
    };
    for fault in [
        status_of(400, 99, "We are down for maintenance"),
        status_of(400, 8, "You have exceeded your rate limit. Try again later."),
        status_of(400, 1, "Invalid parameter"),
        status_of(401, 1201, "Two-factor authentication required."),
        status_of(403, 29, "You are not permitted to access that resource."),
    ] {
        world.sandbox.faults().add(Rule::on(Kind::Token, fault.clone()).once());
        expect_refusal(refresh(&mut client, None), "55000");
        assert!(status(&mut client)?.starts_with("connected"), "{fault:?}");
        refresh(&mut client, None)?;
        assert_eq!(status(&mut client)?, "connected", "{fault:?}");
    }
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::InvalidGrant).once());
    expect_refusal(refresh(&mut client, None), "28000");
    until_status(&mut client, account, "needs_reauth: rejected")?;
    let import = queue_board(&mut client, "Beach")?;
    until_state(&mut client, import, "needs_reauth")?;
    // Pinterest accepts the same token in the next request.
    refresh(&mut client, None)?;
    assert_eq!(status(&mut client)?, "connected");
    complete(&mut client, import)?;
    Ok(())
}

/// Repeated refusals of one account do not count as refusals of several.
#[test]
fn repeated_refusals_of_one_account_do_not_pause_the_app() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::InvalidGrant));
    for _ in 0..8 {
        expect_refusal(refresh(&mut client, None), "28000");
    }
    assert_eq!(client.value::<i32>("SELECT max(pauses) FROM pinterest.app")?, 0);
    Ok(())
}

/// No role of any level can lock the tables that tokens are stored in.
#[test]
fn roles_cannot_lock_the_token_tables() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    for level in ["reader", "user", "admin"] {
        world.cluster.create_role(level)?;
        client.query_one("SELECT pinterest_grant($1, $1)", &[&level])?;
        let mut other = world.cluster.connect_as(level)?;
        for table in ["token", "account", "app", "import", "oauth_state", "installation"] {
            for mode in ["ROW EXCLUSIVE", "SHARE", "ACCESS EXCLUSIVE"] {
                let refused = refusal(other.batch_execute(&format!("BEGIN; LOCK pinterest.{table} IN {mode} MODE")));
                assert_eq!(refused.code, "42501", "{level} {table} {mode}: {refused:?}");
                other.batch_execute("ROLLBACK")?;
            }
        }
    }
    Ok(())
}
