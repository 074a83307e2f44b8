//! Refreshing tokens before they expire: intent, request, result. The intent is a row, so it outlives a crash and is
//! not held over the request; the result replaces exactly the generation it was asked with, or nothing. What a failure
//! means is decided in `pinterest::refresh`.

use std::sync::Arc;
use std::time::Duration;

use pinterest::refresh::{Ask, Cause, Refusal, Verdict, ask};
use pinterest::{Client, TokenGrant};
use tokio::task::JoinSet;

use super::database::Context;
use super::farewell::Outstanding;
use super::import::Interruption;
use super::registry;
use crate::errors::{Failure, Kind};
use crate::store::account::Status;
use crate::store::app_pause::{self, Permission};
use crate::store::import::Stop;
use crate::store::{account, import, token};
use crate::tokens::{REFRESH_PATIENCE, Refreshable, Sealer};

/// Accounts refreshed at one time: enough for thousands a minute, few enough for Pinterest's limits.
const AT_ONCE: usize = 4;
/// After a failure on this side: the key file, a lock, a full disk.
const LOCAL_PAUSE: Duration = Duration::from_secs(60);
/// Storing an answer is tried for minutes: what is lost here, only the user can bring back.
const STORE_ATTEMPTS: u32 = 60;
/// Between looks at another process' refresh, growing from the first to the second.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// The refreshes of this worker.
pub struct Refreshes {
    context: Context,
    tasks: JoinSet<()>,
}

/// On whose behalf tokens are refreshed that are not due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// An import's: it can wait while the app is paused.
    Needed,
    /// A caller's, who waits: asked even then.
    Asked,
}

impl Refreshes {
    /// None yet.
    pub fn new(context: Context) -> Self {
        Refreshes { context, tasks: JoinSet::new() }
    }

    /// Starts what is due.
    pub async fn look_for_work(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        let free = AT_ONCE.saturating_sub(self.tasks.len());
        let due = move || token::due(i64::try_from(free).unwrap_or(0), &registry::live_identities());
        for account_id in self.context.database.run(due).await.unwrap_or_default() {
            let context = self.context.clone();
            self.tasks.spawn_local(async move {
                // What failed is in the account's row; the next attempt is in its refresh_after.
                let _ = attempt(&context, account_id, None).await;
            });
        }
    }

    /// Is any refresh under way?
    pub fn are_running(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Waits for a refresh to end.
    pub async fn one_ends(&mut self) {
        self.tasks.join_next().await;
    }
}

/// Refreshes the tokens of this generation now, or waits for whoever is at it; returns once they are newer.
pub async fn now(context: &Context, account_id: i64, generation: i64, urgency: Urgency) -> Result<(), Interruption> {
    let until = tokio::time::Instant::now() + REFRESH_PATIENCE;
    let mut pause = LOOK_AGAIN.0;
    loop {
        if attempt(context, account_id, Some((generation, urgency))).await? {
            return Ok(());
        }
        let current = context.database.run(move || token::get(account_id)).await?;
        if current.generation > generation {
            return Ok(());
        }
        if tokio::time::Instant::now() >= until {
            return Err(Failure::new(Kind::Database, "another process' refresh of the account takes too long").into());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN.1);
    }
}

/// What opening an attempt came to.
enum Opening {
    /// The tokens are not due, newer already, or in others' hands.
    Nothing,
    Paused(Duration),
    Opened {
        app_id: i64,
        probe: bool,
    },
}

/// One attempt; true where newer tokens are stored.
async fn attempt(context: &Context, account_id: i64, forced: Option<(i64, Urgency)>) -> Result<bool, Interruption> {
    let _outstanding = Outstanding::new();
    let identity = context.identity.clone();
    let opening = context.database.run(move || open(account_id, &identity, forced)).await?;
    let (app_id, probe) = match opening {
        Opening::Nothing => return Ok(false),
        Opening::Paused(left) => return Err(paused(left)),
        Opening::Opened { app_id, probe } => (app_id, probe),
    };
    let result = refresh(context, account_id, app_id, probe).await;
    if let Err(pause) = &result {
        let (identity, again_in) = (context.identity.clone(), pause.again_in);
        context.database.run(move || token::close_attempt(account_id, &identity, again_in)).await?;
    }
    Ok(result?)
}

/// Opens the attempt. One that another process began and did not end may have been answered: that makes it uncertain.
fn open(account_id: i64, identity: &str, forced: Option<(i64, Urgency)>) -> Result<Opening, Failure> {
    let generation = forced.map(|(generation, _)| generation);
    let Some(opened) = token::open_attempt(account_id, identity, &registry::live_identities(), generation)? else {
        return Ok(Opening::Nothing);
    };
    if opened.interrupted {
        // First of all: whatever else happens, the next refusal has to be read with this in mind.
        account::set_status(
            account_id,
            Status::RefreshUncertain,
            Some("a refresh was interrupted before it was stored"),
        )?;
    }
    let asked = matches!(forced, Some((_, Urgency::Asked)));
    let probe = match app_pause::permission(opened.app_id)? {
        Permission::Paused(left) if !asked => {
            token::withdraw_attempt(account_id, identity)?;
            return Ok(Opening::Paused(Duration::from_secs_f64(left)));
        }
        permission => permission != Permission::Granted,
    };
    Ok(Opening::Opened { app_id: opened.app_id, probe })
}

fn paused(left: Duration) -> Interruption {
    let failure = Failure::new(Kind::AppCredentials, "Pinterest refuses the app, so its refreshes are paused");
    Interruption::Stopped { stop: Stop::Queued, failure, wake_in: left }
}

/// An attempt that brought nothing.
struct Pause {
    failure: Failure,
    again_in: Duration,
    /// The same request may succeed later without anything being done to the account.
    passes: bool,
}

impl From<Failure> for Pause {
    fn from(failure: Failure) -> Self {
        Pause { failure, again_in: LOCAL_PAUSE, passes: false }
    }
}

impl From<Pause> for Interruption {
    fn from(pause: Pause) -> Self {
        if pause.passes {
            return Interruption::Stopped { stop: Stop::Queued, failure: pause.failure, wake_in: pause.again_in };
        }
        pause.failure.into()
    }
}

async fn refresh(context: &Context, account_id: i64, app_id: i64, probe: bool) -> Result<bool, Pause> {
    let used = match context.database.run(move || Sealer::open()?.refreshable(account_id)).await {
        Err(failure) if failure.kind == Kind::SealBroken => {
            unreadable(context, account_id, &failure).await?;
            return Err(failure.into());
        }
        used => used?,
    };
    let client = Client::new(context.config.borrow().endpoints.clone()).map_err(Failure::from)?;
    let asked =
        Ask { app: &used.app, current: &used.refresh_token, previous: used.previous.as_ref(), attempt: used.attempt };
    match ask(&client, asked, fastrand::f64()).await {
        Ok(grant) => Ok(store(context, account_id, app_id, used, grant).await?),
        Err(refusal) => {
            let case = Case { account_id, app_id, generation: used.generation, probe };
            refused(context, case, refusal).await
        }
    }
}

/// Tokens that were altered, or moved from another row, are of no use to anybody: only the user can help.
pub async fn unreadable(context: &Context, account_id: i64, failure: &Failure) -> Result<(), Failure> {
    let cause = format!("unreadable: {failure}");
    context.database.run(move || account::needs_reauth(account_id, &cause)).await
}

/// Stores the answer before anything else is done with it.
async fn store(
    context: &Context,
    account_id: i64,
    app_id: i64,
    used: Refreshable,
    grant: TokenGrant,
) -> Result<bool, Failure> {
    let shared = Arc::new((used, grant));
    let mut attempt = 0;
    let stored = loop {
        let material = shared.clone();
        let stored = context
            .database
            .run(move || {
                let stored = Sealer::open()?.store_refresh(account_id, &material.0, &material.1)?;
                import::unpark(account_id)?;
                Ok(stored)
            })
            .await;
        attempt += 1;
        match stored {
            Ok(stored) => break stored,
            Err(failure) if attempt >= STORE_ATTEMPTS => return Err(failure),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    };
    // In a transaction of its own: nothing may keep the answer from being stored. Should it fail, the next success does it.
    let _ = context.database.run(move || app_pause::resume(app_id)).await;
    Ok(stored)
}

/// What was refused.
#[derive(Clone, Copy)]
struct Case {
    account_id: i64,
    app_id: i64,
    generation: i64,
    probe: bool,
}

/// Draws the consequences of a refusal, which may be none: somebody else may have brought newer tokens meanwhile.
async fn refused(context: &Context, case: Case, refusal: Refusal) -> Result<bool, Pause> {
    let Refusal { verdict, error } = refusal;
    let failure = Failure::from(error);
    let message = failure.message.clone();
    let random = fastrand::f64();
    let recorded = context.database.run(move || record(case, verdict, &message, random)).await;
    match recorded {
        Ok(Consequence::Race) => Ok(true),
        Ok(Consequence::Again(again_in)) => Err(Pause { failure, again_in, passes: true }),
        Ok(Consequence::Lost) => Err(Pause { failure, again_in: LOCAL_PAUSE, passes: false }),
        Err(failure) => Err(failure.into()),
    }
}

enum Consequence {
    Race,
    Again(Duration),
    Lost,
}

fn record(case: Case, verdict: Verdict, message: &str, random: f64) -> Result<Consequence, Failure> {
    let Case { account_id, app_id, generation, probe } = case;
    // Locked until this is decided: a refusal counts only if it is of the tokens that are stored.
    if token::lock_next_generation(account_id)? != generation + 1 {
        return Ok(Consequence::Race);
    }
    let (cause, again_in) = match verdict {
        Verdict::Again { again_in, uncertain } => {
            let status = if uncertain { Status::RefreshUncertain } else { Status::Connected };
            account::set_status(account_id, status, Some(message))?;
            return Ok(Consequence::Again(again_in));
        }
        Verdict::AppRefused => (None, Duration::ZERO),
        Verdict::Lost(cause) => (Some(cause), Duration::ZERO),
    };
    let (before, paused) = app_pause::lock(app_id)?;
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
        app_pause::refused(app_id, after, pause, message)?;
    }
    match lost {
        Some(cause) => {
            lose(account_id, cause, message)?;
            Ok(Consequence::Lost)
        }
        None => Ok(Consequence::Again(pause.unwrap_or(again_in).max(LOCAL_PAUSE))),
    }
}

fn lose(account_id: i64, cause: Cause, message: &str) -> Result<(), Failure> {
    pgrx::log!("pg_pinterest: account {account_id} needs its user: {cause}");
    account::needs_reauth(account_id, &format!("{cause}: {message}"))
}
