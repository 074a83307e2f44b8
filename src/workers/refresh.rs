//! Refreshing tokens before they expire: intent, request, result. The intent is a row, so it survives a crash, and no lock
//! is held during the request. The result replaces exactly the generation with which the request was made, or nothing.
//! `pinterest::refresh` decides what a refusal means.
//!
//! An attempt is a task that no caller owns: if the caller stops waiting, or its import is cancelled, the answer is stored
//! all the same. An attempt is open while it is in this process' hands or until another process takes it over because this
//! one is dead.

use std::time::Duration;

use pinterest::TokenGrant;
use pinterest::refresh::{Ask, Cause, FailedRefresh, NextStep, ask};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answers::{self, Answer, Stored, persistently};
use super::context::Context;
use super::in_hand::Unrefreshed;
use super::log::{self, About};
use super::registry;
use super::shutdown::Outstanding;
use crate::errors::{Failure, Kind};
use crate::secrets::tokens::{REFRESH_PATIENCE, Refreshable, open_or_give_up};
use crate::statistics::{self, Counter, Refresh as Counted};
use crate::store::app_breaker::{self, Permission};
use crate::store::token::Opened;
use crate::store::{account, token, token_answer};

/// Accounts refreshed at the same time: enough for thousands per minute, few enough for Pinterest's limits.
const AT_ONCE: usize = 4;
/// After a failure on this server: the key file, a lock, a full disk.
const LOCAL_PAUSE: Duration = Duration::from_secs(60);
/// A refusal that cannot be recorded after so many tries is requested again later: nothing is lost.
const RECORD_ATTEMPTS: u32 = 5;
/// Between looks at another process' refresh, growing from the first to the second.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// How long a caller waits for the consequences of a stored answer.
const SETTLE_PATIENCE: Duration = Duration::from_secs(2);

/// Starts the refreshes that are due.
pub struct Refreshes {
    context: Context,
}

/// Who needs tokens that are not due to be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// An import: it can wait while the app is paused.
    Needed,
    /// A session that waits: the request is made even then.
    Asked,
}

/// The generation to replace although it is not due, and who needs that.
type Forced = Option<(i64, Urgency)>;

impl Refreshes {
    /// None yet.
    pub fn new(context: Context) -> Self {
        Refreshes { context }
    }

    /// Starts what is due, and continues what an earlier process has left unsettled.
    pub async fn look_for_work(&mut self) {
        let context = &self.context;
        let (attempts, settling) = (context.in_hand.attempts.accounts(), context.in_hand.settling.accounts());
        let in_hand = [settling, attempts.clone()].concat();
        let left =
            context.database.run(move || Ok([token::unsettled(&in_hand)?, token_answer::waiting(&in_hand)?].concat()));
        for account_id in left.await.unwrap_or_default() {
            settle(context, account_id);
        }
        let free = AT_ONCE.saturating_sub(attempts.len());
        let due = move || token::due(i64::try_from(free).unwrap_or(0), &registry::other_identities(), &attempts);
        for account_id in context.database.run(due).await.unwrap_or_default() {
            // A failure is recorded in the account's row, the time of the next attempt in its refresh_after.
            let _ = context.in_hand.attempts.run(account_id, attempt(context.clone(), account_id, None));
        }
    }
}

/// Refreshes the tokens of this generation now, or waits for the process that does; returns once there are others. After
/// [`REFRESH_PATIENCE`] the caller gets a failure, and the attempt continues.
///
/// # Errors
/// [`Unrefreshed`].
pub async fn now(context: &Context, account_id: i64, generation: i64, urgency: Urgency) -> Result<(), Unrefreshed> {
    let until = Instant::now() + REFRESH_PATIENCE;
    let mut pause = LOOK_AGAIN.0;
    loop {
        let work = attempt(context.clone(), account_id, Some((generation, urgency)));
        let (own, mut result) = context.in_hand.attempts.run(account_id, work);
        let result = tokio::time::timeout_at(until, result.wait_for(Option::is_some)).await;
        let too_long = result.is_err();
        match result.ok().and_then(Result::ok).and_then(|result| result.clone()) {
            Some(Ok(true)) if own => return Ok(()),
            // An attempt of another caller may have failed for reasons that do not hold here.
            Some(Err(unrefreshed)) if own => return Err(unrefreshed),
            _ => {}
        }
        let current = context.database.run(move || token::get(account_id)).await?;
        if current.generation != generation {
            return Ok(());
        }
        if too_long || Instant::now() >= until {
            let failure = Failure::new(
                Kind::Database,
                "a refresh of the account takes too long, or a lock keeps its answer from being stored",
            );
            return Err(Unrefreshed::Again { failure, after: LOCAL_PAUSE, uncertain: false });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN.1);
    }
}

/// One attempt; true if the account now has other tokens, its own or another process'.
async fn attempt(context: Context, account_id: i64, forced: Forced) -> Result<bool, Unrefreshed> {
    let outstanding = Outstanding::new();
    let identity = context.identity.clone();
    let opened = context.database.run(move || open(account_id, &identity, forced)).await?;
    // The tokens are not due, newer already, or another process refreshes them.
    let Some((opened, permission)) = opened else { return Ok(false) };
    if let Permission::Paused(left) = permission
        && can_wait(forced)
    {
        let failure = Failure::new(Kind::AppCredentials, "Pinterest refuses the app, so its refreshes are paused");
        return Err(Unrefreshed::Again { failure, after: Duration::from_secs_f64(left), uncertain: false });
    }
    if opened.interrupted {
        show(&context, account_id, true, "a refresh was interrupted before it was stored".to_owned()).await;
    }
    let unrefreshed = match refresh(&context, account_id, opened.app_id, permission != Permission::Granted).await {
        Ok(stored) => {
            drop(outstanding);
            if stored {
                let mut settled = settle(&context, account_id);
                // The caller finds the account as the answer left it; what another session has locked follows later.
                let _ = tokio::time::timeout(SETTLE_PATIENCE, settled.wait_for(Option::is_some)).await;
            }
            return Ok(true);
        }
        Err(unrefreshed) => unrefreshed,
    };
    // If this process ends before the attempt is closed, the next process treats it as interrupted.
    drop(outstanding);
    let (after, uncertain) = match &unrefreshed {
        Unrefreshed::Again { after, uncertain, .. } => (*after, *uncertain),
        Unrefreshed::Failed(_) => (LOCAL_PAUSE, false),
    };
    let identity = context.identity.clone();
    let line = "could not record the end of a refresh, retrying";
    persistently(&context, About::Account(account_id), line, move || {
        token::close_attempt(account_id, &identity, after, uncertain)
    })
    .await;
    if let Unrefreshed::Again { failure, uncertain, .. } = &unrefreshed {
        show(&context, account_id, *uncertain, failure.message.clone()).await;
    }
    Err(unrefreshed)
}

fn can_wait(forced: Forced) -> bool {
    !matches!(forced, Some((_, Urgency::Asked)))
}

/// Shows the state of the refresh in the account's row. Nothing depends on it.
async fn show(context: &Context, account_id: i64, uncertain: bool, cause: String) {
    let shown = move || {
        crate::store::wait_briefly_for_locks();
        account::show_attempt(account_id, uncertain, &cause)
    };
    let _ = context.database.run(shown).await;
}

/// Opens the attempt, unless the app is paused and the caller can wait. An attempt that another process began and did not
/// end may have been answered: that makes this one uncertain.
fn open(account_id: i64, identity: &str, forced: Forced) -> Result<Option<(Opened, Permission)>, Failure> {
    let generation = forced.map(|(generation, _)| generation);
    let Some(opened) = token::open_attempt(account_id, identity, &registry::other_identities(), generation)? else {
        return Ok(None);
    };
    let permission = app_breaker::permission(opened.app_id)?;
    if matches!(permission, Permission::Paused(_)) && can_wait(forced) {
        token::withdraw_attempt(account_id, identity)?;
    }
    Ok(Some((opened, permission)))
}

/// Makes the request and stores the answer; true if this attempt's tokens are the account's now.
async fn refresh(context: &Context, account_id: i64, app_id: i64, probe: bool) -> Result<bool, Unrefreshed> {
    let load = move || {
        let sealed = token::get(account_id)?;
        open_or_give_up(account_id, &sealed, |sealer| sealer.refreshable(account_id, &sealed))
    };
    let count = |counter| statistics::add(Counter::Refresh(counter), 1);
    let used = context.database.run(load).await.flatten().inspect_err(|_| count(Counted::Failed))?;
    let client = statistics::requests::client(context.config.borrow().endpoints.clone()).map_err(Failure::from)?;
    let first = used.attempt.number <= 1;
    let client = if first { client } else { client.as_retry() };
    let request =
        Ask { app: &used.app, current: &used.refresh_token, previous: used.previous.as_ref(), attempt: used.attempt };
    match ask(&client, request, fastrand::f64()).await {
        Ok(grant) => {
            let stored = store(context, account_id, used, grant).await;
            if stored {
                count(Counted::Succeeded);
            }
            Ok(stored)
        }
        Err(failed) => {
            let case = Case { account_id, app_id, generation: used.generation, probe };
            let refused = refused(context, case, failed).await;
            // Rejections are counted and logged where they are recorded, repetitions not logged at all.
            if let Err(Unrefreshed::Again { failure, .. }) = &refused {
                count(Counted::Failed);
                if first {
                    let line = format!("a refresh has failed, and is repeated: {failure}");
                    context.database.log(About::Account(account_id), line).await;
                }
            }
            refused.map(|()| false)
        }
    }
}

/// Stores the answer before anything else is done with it.
async fn store(context: &Context, account_id: i64, used: Refreshable, grant: TokenGrant) -> bool {
    let answer = Answer::Refresh { account_id, used, grant, generation: 0.into() };
    answers::store(context, answer).await == Some(Stored::For(account_id))
}

/// Records the consequences of a stored answer, in transactions after the one that stored it: no lock on an account or an
/// import may keep the answer from being stored. The database contains what is left to do, so any process can continue.
/// The receiver has a value once all is done.
pub fn settle(context: &Context, account_id: i64) -> watch::Receiver<Option<()>> {
    let settled = context.clone();
    let work = async move {
        let (about, line) = (About::Account(account_id), "could not record the consequences of new tokens, retrying");
        persistently(&settled, about, line, move || token_answer::apply(account_id)).await;
        let app = persistently(&settled, about, line, move || account::settle(account_id)).await.flatten();
        if let Some(app_id) = app {
            if let Some(app_id) = app_id {
                persistently(&settled, about, line, move || app_breaker::resume(app_id)).await;
            }
            persistently(&settled, about, line, move || account::settle_imports(account_id)).await;
        }
    };
    context.in_hand.settling.run(account_id, work).1
}

/// What was refused.
#[derive(Clone, Copy)]
struct Case {
    account_id: i64,
    app_id: i64,
    generation: i64,
    probe: bool,
}

/// Records the consequences of a refusal. `Ok` if newer tokens were stored meanwhile: that is as good as an answer.
async fn refused(context: &Context, case: Case, failed: FailedRefresh) -> Result<(), Unrefreshed> {
    let FailedRefresh { next_step, error } = failed;
    let failure = Failure::from(error);
    let cause = match next_step {
        NextStep::Again { again_in, uncertain } => {
            return Err(Unrefreshed::Again { failure, after: again_in, uncertain });
        }
        NextStep::AppRefused => None,
        NextStep::Lost(cause) => Some(cause),
    };
    let random = fastrand::f64();
    for _ in 1..RECORD_ATTEMPTS {
        let failure = failure.clone();
        let recorded = context.database.run(move || {
            crate::store::wait_briefly_for_locks();
            record(case, cause, failure, random)
        });
        match recorded.await {
            Ok(consequence) => return consequence,
            Err(_) => tokio::time::sleep(LOOK_AGAIN.1).await,
        }
    }
    Err(Unrefreshed::Again { failure, after: LOCAL_PAUSE, uncertain: false })
}

/// Records a refusal of the account, for `cause`, or of its app. Returns what it means for this attempt.
fn record(case: Case, cause: Option<Cause>, failure: Failure, random: f64) -> Result<Result<(), Unrefreshed>, Failure> {
    let Case { account_id, app_id, generation, probe } = case;
    // Locked until the end of the transaction: a refusal counts only if it is of the tokens that are stored.
    let status = account::lock(account_id)?;
    if token::lock_generation(account_id)? != Some(generation) {
        return Ok(Ok(()));
    }
    if cause.is_some() && status.as_deref() == Some(account::NEEDS_REAUTH) {
        // A session has tried once more: the refusal contains nothing new, about the app neither.
        return Ok(Err(Unrefreshed::Failed(failure)));
    }
    let (before, paused) = app_breaker::lock(app_id)?;
    let after = match cause {
        // Sent before the pause began: it contains nothing new.
        _ if paused && !probe => before,
        None => before.after_app_refusal(),
        Some(cause) => before.after_account_refusal(cause),
    };
    let lost = cause.filter(|cause| before.believes(*cause) && after.believes(*cause));
    let pause = (after.pauses > before.pauses).then(|| after.pause(random));
    if pause.is_some() && !before.is_open() {
        log::line(About::App(app_id), format_args!("refreshes are paused, Pinterest refuses the app: {failure}"));
    }
    // A lost answer does not count while the app is not paused, but a pause gives its account back with the others.
    if after != before || (cause == Some(Cause::LostResponse) && !before.is_open()) {
        app_breaker::refused(app_id, after, pause, &failure.message)?;
    }
    Ok(Err(match lost {
        Some(cause) => {
            log::line(About::Account(account_id), format_args!("the account must be reconnected: {cause}"));
            account::needs_reauth(account_id, &format!("{cause}: {failure}"))?;
            statistics::note(Counter::Refresh(Counted::Rejected), 1);
            Unrefreshed::Failed(failure)
        }
        None => Unrefreshed::Again { failure, after: pause.unwrap_or_default().max(LOCAL_PAUSE), uncertain: false },
    }))
}
