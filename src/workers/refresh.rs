//! Refreshing tokens before they expire: intent, request, result. The intent is a row, so it outlives a crash and is
//! not held over the request; the result replaces exactly the generation it was asked with, or nothing. What a failure
//! means is decided in `pinterest::refresh`.
//!
//! An attempt is a task of its own, whoever wanted it: a caller who gives up, or an import that is cancelled, takes no
//! answer along. It is open as long as it is in this process' hands or the process is dead, and whichever process finds
//! the second takes it over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pinterest::refresh::{Ask, Cause, FailedRefresh, NextStep, ask};
use pinterest::{Client, TokenGrant};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answers::{self, Answer, Stored, persistently};
use super::database::Context;
use super::import::Interruption;
use super::registry;
use super::shutdown::Outstanding;
use crate::errors::{Failure, Kind};
use crate::secrets::tokens::{REFRESH_PATIENCE, Refreshable, open_or_give_up};
use crate::store::app_breaker::{self, Permission};
use crate::store::import::Stop;
use crate::store::{account, token, token_answer};

/// Accounts refreshed at one time: enough for thousands a minute, few enough for Pinterest's limits.
const AT_ONCE: usize = 4;
/// After a failure on this side: the key file, a lock, a full disk.
const LOCAL_PAUSE: Duration = Duration::from_secs(60);
/// A refusal that cannot be recorded so often is asked for again: nothing is lost by it.
const RECORD_ATTEMPTS: u32 = 5;
/// Between looks at another process' refresh, growing from the first to the second.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// How long a caller waits for what follows from a stored answer.
const SETTLE_PATIENCE: Duration = Duration::from_secs(2);

/// The refreshes that are due.
pub struct Refreshes {
    context: Context,
}

/// On whose behalf tokens are refreshed that are not due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// An import's: it can wait while the app is paused.
    Needed,
    /// A caller's, who waits: asked even then.
    Asked,
}

/// Why tokens were not refreshed.
#[derive(Clone, Debug)]
pub struct Unrefreshed {
    /// What went wrong.
    pub failure: Failure,
    /// The same request may succeed after this time without anything being done to the account.
    passes_in: Option<Duration>,
}

impl From<Failure> for Unrefreshed {
    fn from(failure: Failure) -> Self {
        Unrefreshed { failure, passes_in: None }
    }
}

impl From<Unrefreshed> for Interruption {
    fn from(unrefreshed: Unrefreshed) -> Self {
        match unrefreshed.passes_in {
            Some(wake_in) => Interruption::Stopped { stop: Stop::Queued, failure: unrefreshed.failure, wake_in },
            None => unrefreshed.failure.into(),
        }
    }
}

/// How an attempt ended: true where there are other tokens than it was asked to replace, its own or another's.
type Outcome = Result<bool, Unrefreshed>;

/// What this process has in hand, by account.
#[derive(Default)]
pub struct InHand(Mutex<Accounts>);

#[derive(Default)]
struct Accounts {
    attempts: HashMap<i64, watch::Receiver<Option<Outcome>>>,
    /// Stored answers whose consequences are being drawn.
    settling: HashMap<i64, watch::Receiver<bool>>,
    /// Answers of another kind: connections.
    others: usize,
}

impl InHand {
    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is there anything that ends with this process?
    pub fn is_any(&self) -> bool {
        let accounts = self.lock();
        !accounts.attempts.is_empty() || !accounts.settling.is_empty() || accounts.others > 0
    }

    /// Counts something else as in hand until what it returns is dropped.
    pub fn hold(context: &Context) -> Held {
        context.in_hand.lock().others += 1;
        Held(OnDrop(context.clone(), |accounts, _| accounts.others -= 1, 0))
    }
}

/// Something in hand, see [`InHand::hold`].
pub struct Held(#[allow(dead_code)] OnDrop);

/// Takes something out of hand, also where its task panics, and has the worker look around again.
struct OnDrop(Context, fn(&mut Accounts, i64), i64);

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.1)(&mut self.0.in_hand.lock(), self.2);
        self.0.wake.notify_one();
    }
}

impl Refreshes {
    /// None yet.
    pub fn new(context: Context) -> Self {
        Refreshes { context }
    }

    /// Starts what is due, and goes on with what an earlier process has left unsettled.
    pub async fn look_for_work(&mut self) {
        let (attempts, settling): (Vec<i64>, Vec<i64>) = {
            let accounts = self.context.in_hand.lock();
            (accounts.attempts.keys().copied().collect(), accounts.settling.keys().copied().collect())
        };
        let in_hand = [settling, attempts.clone()].concat();
        let left = self
            .context
            .database
            .run(move || Ok([token::unsettled(&in_hand)?, token_answer::waiting(&in_hand)?].concat()));
        for account_id in left.await.unwrap_or_default() {
            settle(&self.context, account_id);
        }
        let free = AT_ONCE.saturating_sub(attempts.len());
        let due = move || token::due(i64::try_from(free).unwrap_or(0), &registry::other_identities(), &attempts);
        for account_id in self.context.database.run(due).await.unwrap_or_default() {
            // What failed is in the account's row; the next attempt is in its refresh_after.
            let _ = begin(&self.context, account_id, None);
        }
    }
}

/// Refreshes the tokens of this generation now, or waits for whoever is at it, for as long as a caller waits; returns once
/// there are others. An attempt that takes longer goes on.
pub async fn now(context: &Context, account_id: i64, generation: i64, urgency: Urgency) -> Result<(), Unrefreshed> {
    let until = Instant::now() + REFRESH_PATIENCE;
    let mut pause = LOOK_AGAIN.0;
    loop {
        let (own, mut outcome) = begin(context, account_id, Some((generation, urgency)));
        let outcome = tokio::time::timeout_at(until, outcome.wait_for(Option::is_some)).await;
        let too_long = outcome.is_err();
        match outcome.ok().and_then(Result::ok).and_then(|outcome| outcome.clone()) {
            Some(Ok(true)) if own => return Ok(()),
            // What another asked for may have been refused for reasons that do not hold here.
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
                "a refresh of the account is under way and takes too long, or its answer waits for a lock to be stored",
            );
            return Err(Unrefreshed { failure, passes_in: Some(LOCAL_PAUSE) });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN.1);
    }
}

/// Begins an attempt, or joins the one that this process has in hand. True where it was begun.
fn begin(
    context: &Context,
    account_id: i64,
    forced: Option<(i64, Urgency)>,
) -> (bool, watch::Receiver<Option<Outcome>>) {
    let mut accounts = context.in_hand.lock();
    if let Some(outcome) = accounts.attempts.get(&account_id) {
        return (false, outcome.clone());
    }
    let (tell, outcome) = watch::channel(None);
    accounts.attempts.insert(account_id, outcome.clone());
    drop(accounts);
    let in_hand = OnDrop(context.clone(), |accounts, account| drop(accounts.attempts.remove(&account)), account_id);
    let context = context.clone();
    tokio::task::spawn_local(async move {
        let outcome = attempt(&context, account_id, forced).await;
        drop(in_hand);
        tell.send_replace(Some(outcome));
    });
    (true, outcome)
}

/// What opening an attempt came to.
enum Opening {
    /// The tokens are not due, newer already, or in others' hands.
    Nothing,
    Paused(Duration),
    Opened {
        app_id: i64,
        probe: bool,
        interrupted: bool,
    },
}

/// One attempt, see [`Outcome`].
async fn attempt(context: &Context, account_id: i64, forced: Option<(i64, Urgency)>) -> Outcome {
    let outstanding = Outstanding::new();
    let identity = context.identity.clone();
    let opening = context.database.run(move || open(account_id, &identity, forced)).await?;
    let (app_id, probe) = match opening {
        Opening::Nothing => return Ok(false),
        Opening::Paused(left) => return Err(paused(left)),
        Opening::Opened { app_id, probe, interrupted } => {
            if interrupted {
                show(context, account_id, true, "a refresh was interrupted before it was stored".to_owned()).await;
            }
            (app_id, probe)
        }
    };
    let pause = match refresh(context, account_id, app_id, probe).await {
        Ok(stored) => {
            drop(outstanding);
            if stored {
                let mut settled = settle(context, account_id);
                // A caller is to find the account as the answer left it; what is locked follows.
                let _ = tokio::time::timeout(SETTLE_PATIENCE, settled.wait_for(|settled| *settled)).await;
            }
            return Ok(true);
        }
        Err(pause) => pause,
    };
    // Should this process end before, whoever takes the attempt over takes it for interrupted.
    drop(outstanding);
    let (identity, again_in, uncertain) = (context.identity.clone(), pause.again_in, pause.uncertain);
    let line = format!("the end of account {account_id}'s refresh waits to be recorded");
    persistently(context, &line, move || token::close_attempt(account_id, &identity, again_in, uncertain)).await;
    if pause.passes || pause.uncertain {
        show(context, account_id, pause.uncertain, pause.failure.message.clone()).await;
    }
    Err(Unrefreshed { passes_in: pause.passes.then_some(pause.again_in), failure: pause.failure })
}

/// Shows in the account's row how it stands with its refresh. Nothing rests on it.
async fn show(context: &Context, account_id: i64, uncertain: bool, cause: String) {
    let shown = move || {
        crate::store::wait_briefly_for_locks();
        account::show_attempt(account_id, uncertain, &cause)
    };
    let _ = context.database.run(shown).await;
}

/// Opens the attempt. One that another process began and did not end may have been answered: that makes it uncertain.
fn open(account_id: i64, identity: &str, forced: Option<(i64, Urgency)>) -> Result<Opening, Failure> {
    let generation = forced.map(|(generation, _)| generation);
    let Some(opened) = token::open_attempt(account_id, identity, &registry::other_identities(), generation)? else {
        return Ok(Opening::Nothing);
    };
    let asked = matches!(forced, Some((_, Urgency::Asked)));
    let probe = match app_breaker::permission(opened.app_id)? {
        Permission::Paused(left) if !asked => {
            token::withdraw_attempt(account_id, identity)?;
            return Ok(Opening::Paused(Duration::from_secs_f64(left)));
        }
        permission => permission != Permission::Granted,
    };
    Ok(Opening::Opened { app_id: opened.app_id, probe, interrupted: opened.interrupted })
}

fn paused(left: Duration) -> Unrefreshed {
    let failure = Failure::new(Kind::AppCredentials, "Pinterest refuses the app, so its refreshes are paused");
    Unrefreshed { failure, passes_in: Some(left) }
}

/// An attempt that brought nothing.
struct Pause {
    failure: Failure,
    again_in: Duration,
    /// The same request may succeed later without anything being done to the account.
    passes: bool,
    /// It may have been answered.
    uncertain: bool,
}

impl From<Failure> for Pause {
    fn from(failure: Failure) -> Self {
        Pause { failure, again_in: LOCAL_PAUSE, passes: false, uncertain: false }
    }
}

/// Asks and stores the answer; true where this attempt's tokens are the account's now.
async fn refresh(context: &Context, account_id: i64, app_id: i64, probe: bool) -> Result<bool, Pause> {
    let load = move || {
        let sealed = token::get(account_id)?;
        open_or_give_up(account_id, &sealed, |sealer| sealer.refreshable(account_id, &sealed))
    };
    let used = context.database.run(load).await??;
    let client = Client::new(context.config.borrow().endpoints.clone()).map_err(Failure::from)?;
    let asked =
        Ask { app: &used.app, current: &used.refresh_token, previous: used.previous.as_ref(), attempt: used.attempt };
    match ask(&client, asked, fastrand::f64()).await {
        Ok(grant) => Ok(store(context, account_id, used, grant).await),
        Err(refusal) => {
            let case = Case { account_id, app_id, generation: used.generation, probe };
            refused(context, case, refusal).await.map(|()| false)
        }
    }
}

/// Stores the answer before anything else is done with it.
async fn store(context: &Context, account_id: i64, used: Refreshable, grant: TokenGrant) -> bool {
    let answer = Answer::Refresh { account_id, used, grant, generation: 0.into() };
    answers::store(context, answer).await == Some(Stored::For(account_id))
}

/// Has the consequences of a stored answer drawn, in transactions of their own: it is the database that knows what is left
/// to do, so that any process goes on with it. The receiver is true once all is done.
pub fn settle(context: &Context, account_id: i64) -> watch::Receiver<bool> {
    let mut accounts = context.in_hand.lock();
    if let Some(settled) = accounts.settling.get(&account_id) {
        return settled.clone();
    }
    let (tell, settled) = watch::channel(false);
    accounts.settling.insert(account_id, settled.clone());
    drop(accounts);
    let in_hand = OnDrop(context.clone(), |accounts, account| drop(accounts.settling.remove(&account)), account_id);
    let context = context.clone();
    tokio::task::spawn_local(async move {
        let line = format!("what follows from the new tokens of account {account_id} waits");
        persistently(&context, &line, move || token_answer::apply(account_id)).await;
        let app = persistently(&context, &line, move || account::settle(account_id)).await.flatten();
        if let Some(app_id) = app {
            if let Some(app_id) = app_id {
                persistently(&context, &line, move || app_breaker::resume(app_id)).await;
            }
            persistently(&context, &line, move || account::settle_imports(account_id)).await;
        }
        drop(in_hand);
        tell.send_replace(true);
    });
    settled
}

/// What was refused.
#[derive(Clone, Copy)]
struct Case {
    account_id: i64,
    app_id: i64,
    generation: i64,
    probe: bool,
}

/// Draws the consequences of a refusal, which may be none: somebody else may have brought newer tokens meanwhile, then it
/// is as good as an answer.
async fn refused(context: &Context, case: Case, refusal: FailedRefresh) -> Result<(), Pause> {
    let FailedRefresh { next_step, error } = refusal;
    let failure = Failure::from(error);
    if let NextStep::Again { again_in, uncertain } = next_step {
        return Err(Pause { failure, again_in, passes: true, uncertain });
    }
    let random = fastrand::f64();
    for _ in 1..RECORD_ATTEMPTS {
        let message = failure.message.clone();
        let recorded = context.database.run(move || {
            crate::store::wait_briefly_for_locks();
            record(case, next_step, &message, random)
        });
        match recorded.await {
            Ok(Consequence::Race) => return Ok(()),
            Ok(Consequence::Again(again_in)) => {
                return Err(Pause { failure, again_in, passes: true, uncertain: false });
            }
            Ok(Consequence::Lost) => {
                return Err(Pause { failure, again_in: LOCAL_PAUSE, passes: false, uncertain: false });
            }
            Err(_) => tokio::time::sleep(LOOK_AGAIN.1).await,
        }
    }
    Err(Pause { failure, again_in: LOCAL_PAUSE, passes: true, uncertain: false })
}

enum Consequence {
    Race,
    Again(Duration),
    Lost,
}

fn record(case: Case, next_step: NextStep, message: &str, random: f64) -> Result<Consequence, Failure> {
    let Case { account_id, app_id, generation, probe } = case;
    let cause = match next_step {
        NextStep::Again { again_in, .. } => return Ok(Consequence::Again(again_in)),
        NextStep::AppRefused => None,
        NextStep::Lost(cause) => Some(cause),
    };
    // Locked until this is decided: a refusal counts only if it is of the tokens that are stored.
    let status = account::lock(account_id)?;
    if token::lock_generation(account_id)? != Some(generation) {
        return Ok(Consequence::Race);
    }
    if cause.is_some() && status.as_deref() == Some(account::NEEDS_REAUTH) {
        // Asked for once more by somebody who hoped: it says nothing new, of the app neither.
        return Ok(Consequence::Lost);
    }
    let (before, paused) = app_breaker::lock(app_id)?;
    let after = match cause {
        // Sent before the pause began: it says nothing new.
        _ if paused && !probe => before,
        None => before.after_app_refusal(),
        Some(cause) => before.after_account_refusal(cause),
    };
    let lost = cause.filter(|cause| before.believes(*cause) && after.believes(*cause));
    let pause = (after.pauses > before.pauses).then(|| after.pause(random));
    if pause.is_some() && !before.is_open() {
        pgrx::log!("pg_pinterest: refreshes of app {app_id} are paused, Pinterest refuses it: {message}");
    }
    // A lost answer counts for nothing as long as the app is not paused, but it is taken back with the others.
    if after != before || (cause == Some(Cause::LostResponse) && !before.is_open()) {
        app_breaker::refused(app_id, after, pause, message)?;
    }
    match lost {
        Some(cause) => {
            lose(account_id, cause, message)?;
            Ok(Consequence::Lost)
        }
        None => Ok(Consequence::Again(pause.unwrap_or_default().max(LOCAL_PAUSE))),
    }
}

fn lose(account_id: i64, cause: Cause, message: &str) -> Result<(), Failure> {
    pgrx::log!("pg_pinterest: account {account_id} needs its user: {cause}");
    account::needs_reauth(account_id, &format!("{cause}: {message}"))
}
