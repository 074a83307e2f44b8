//! Duties of the database worker besides imports and refreshes: it warns of tokens that will lapse, queues imports of boards
//! that are synchronised, deletes rows after their retention time, asks Pinterest whose an account is if that is not known
//! yet, re-encrypts all sealed values after a change of keys, and frees counters of columns that are not tracked any more. One
//! after another, in small transactions.

use std::time::Duration;

use pinterest::observed_time::Passed;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connect;
use super::context::Context;
use super::log::{self, About};
use crate::errors::{Failure, Kind};
use crate::postgres::platform;
use crate::secrets::sealer::Sealer;
use crate::statistics;
use crate::store::seal::SealedTable;
use crate::store::{
    account, app_access, clock, import, installation, reassign, retention, token, wait_briefly_for_locks,
};

/// Between rounds.
const ROUND: Duration = Duration::from_secs(60);
/// Rows per transaction: few enough that its locks are short.
const BATCH: i64 = 100;
/// Boards whose sync is due that are looked at in one transaction.
const BOARDS_AT_ONCE: i64 = 200;

/// The housekeeping of this worker.
pub struct Housekeeping {
    context: Context,
    tasks: JoinSet<()>,
    next_round: Instant,
}

impl Housekeeping {
    /// A round is due at once.
    pub fn new(context: Context) -> Self {
        Housekeeping { context, tasks: JoinSet::new(), next_round: Instant::now() }
    }

    /// Starts what is due.
    pub async fn look_for_work(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        if !self.tasks.is_empty() {
            return;
        }
        let rotation = self.context.database.run(|| Ok(installation::find()?.and_then(|row| row.rotation)));
        let rotation = rotation.await.unwrap_or_default();
        let nameless = self.context.database.run(account::nameless).await.unwrap_or_default();
        let round = Instant::now() >= self.next_round;
        if rotation.is_none() && nameless.is_empty() && !round {
            return;
        }
        if round {
            self.next_round = Instant::now() + ROUND;
        }
        let context = self.context.clone();
        self.tasks.spawn_local(async move {
            let mut all = true;
            for account_id in nameless {
                all &= done(&context, "users of accounts", connect::ask_again(&context, account_id)).await;
            }
            if let Some(wanted) = rotation {
                all &= done(&context, "re-encryption", seal_again(&context, wanted)).await;
            }
            if round {
                all &= go_round(&context).await;
            }
            if !all {
                tokio::time::sleep(ROUND / 4).await;
            }
        });
    }

    /// Is a task under way?
    pub fn are_running(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Waits for it to end.
    pub async fn one_ends(&mut self) {
        self.tasks.join_next().await;
    }
}

/// Completes a task; true if it succeeded. A failure, for example a lock that a session holds, is logged and does not keep
/// other tasks from running.
async fn done(context: &Context, what: &str, task: impl Future<Output = Result<(), Failure>>) -> bool {
    let Err(failure) = task.await else { return true };
    context.database.log(About::Database, format!("housekeeping postponed ({what}): {failure}")).await;
    false
}

/// The tasks of each round; true if all succeeded.
async fn go_round(context: &Context) -> bool {
    let clock = done(context, "the clock", observe_clock(context)).await;
    let ownerless = done(context, "accounts without an owner", async {
        context.database.run(reassign::park_ownerless).await.map(drop)
    });
    let ownerless = ownerless.await;
    let warned = done(context, "warnings of tokens that lapse", warn(context)).await;
    let lapsed = mark_lapsed(context).await;
    let held = done(context, "held imports", release_all_held(context)).await;
    let asked = context.database.run(app_access::start_due_probes);
    let asked = done(context, "apps without access", asked).await;
    let synced = done(context, "synchronised boards", enqueue_syncs(context)).await;
    let counted = done(context, "statistics of untracked columns", forget_untracked(context)).await;
    // The age of rows depends on the clock.
    let old = !clock || done(context, "retention", delete_old_rows(context)).await;
    clock && ownerless && warned && lapsed && held && asked && synced && counted && old
}

/// Frees counters of columns that are not tracked any more.
async fn forget_untracked(context: &Context) -> Result<(), Failure> {
    let seen = statistics::seen_columns();
    if !seen.is_empty() {
        let tracked = context.database.run(crate::store::statistics::tracked_column_ids).await?;
        statistics::forget_other_columns(&seen, &tracked);
    }
    Ok(())
}

async fn release_all_held(context: &Context) -> Result<(), Failure> {
    let mut held = Some(i64::MIN);
    while let Some(after) = held {
        held = context.database.run(move || import::release_all_held(after)).await?;
    }
    Ok(())
}

async fn enqueue_syncs(context: &Context) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let (queued, last) =
            context.database.run(move || import::enqueue_syncs(after.as_ref(), BOARDS_AT_ONCE)).await?;
        if queued > 0 {
            context.wake.notify_one();
        }
        if last.is_none() {
            return Ok(());
        }
        after = last;
    }
}

/// Warns early that tokens will lapse.
async fn warn(context: &Context) -> Result<(), Failure> {
    let days = pinterest::refresh::WARN_BEFORE.as_secs_f64() / 86_400.0;
    context
        .database
        .run(move || {
            for (account_id, at) in token::warn_of_lapses(days)? {
                log::line(About::Account(account_id), format_args!("the tokens cannot be renewed after {at}"));
            }
            Ok(())
        })
        .await
}

/// Marks accounts whose tokens have lapsed: one by one, so that a locked row delays no other account.
async fn mark_lapsed(context: &Context) -> bool {
    let Ok(lapsed) = context.database.run(token::lapsed).await else { return false };
    let mut all = true;
    for (account_id, generation) in lapsed {
        let end = context.database.run(move || {
            wait_briefly_for_locks();
            account::lock(account_id)?;
            if token::lock_generation(account_id)? != Some(generation) {
                return Ok(());
            }
            account::needs_reauth(account_id, "expired: there is no refresh token, or no app to use it with")
        });
        all &= done(context, "tokens that have lapsed", end).await;
    }
    all
}

/// Checks the clock, before rows are deleted because of their age.
async fn observe_clock(context: &Context) -> Result<(), Failure> {
    context
        .database
        .run(|| {
            match clock::observe(&platform::observe_clocks())? {
                Passed::AsShown => {}
                Passed::Gap(microseconds) => log::line(
                    About::Database,
                    format_args!(
                        "the clock is {} seconds ahead of the time that is known to have passed; they do not count as age",
                        microseconds / 1_000_000
                    ),
                ),
                Passed::SetBack => {
                    log::line(About::Database, "the clock was set back; later times are set back too");
                }
            }
            Ok(())
        })
        .await
}

async fn delete_old_rows(context: &Context) -> Result<(), Failure> {
    let Some(age) = context.config.borrow().retention else { return Ok(()) };
    while context.database.run(move || retention::delete_pins(age, BATCH)).await? > 0 {}
    while context.database.run(move || retention::delete_imports(age, BATCH)).await? > 0 {}
    Ok(())
}

/// Re-encrypts all sealed values with the wanted key. Continues where the last worker was interrupted: a finished row names
/// this key. The process must have it as the first key of its ring; with older keys it waits for its reload.
async fn seal_again(context: &Context, wanted: String) -> Result<(), Failure> {
    let key = wanted.clone();
    context.database.run(move || seals_with(&key).map(drop)).await?;
    let mut broken = 0;
    for table in [SealedTable::Apps, SealedTable::Tokens] {
        let mut after = 0;
        loop {
            let key = wanted.clone();
            let (last, failed) = context.database.run(move || seals_with(&key)?.reseal(table, after, BATCH)).await?;
            broken += failed;
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    context
        .database
        .run(move || {
            let (known, _) = seals_with(&wanted)?.named_keys()?;
            if broken == 0 && known.iter().any(|key| key.fingerprint != wanted) {
                return Err(Failure::new(Kind::Busy, "a value was encrypted with another key meanwhile"));
            }
            installation::end_rotation(&wanted)?;
            let left =
                if broken > 0 { format!(" except {broken} rows that could not be decrypted") } else { String::new() };
            log::line(About::Database, format_args!("everything is encrypted with key {wanted}{left}"));
            Ok(())
        })
        .await
}

/// The sealer, if it encrypts with that key.
fn seals_with(wanted: &str) -> Result<Sealer, Failure> {
    let sealer = Sealer::open()?;
    let (active, _) = sealer.keys();
    if active == wanted {
        return Ok(sealer);
    }
    Err(Failure::new(
        Kind::NotReady,
        format!("everything must be encrypted with key {wanted}, but this worker uses key {active}"),
    )
    .with_hint("Call pg_reload_conf(), or pinterest_rotate_key() again."))
}
