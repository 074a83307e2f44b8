//! Refreshing tokens before they expire: intent, request, result. The intent is a row, so it outlives a crash and is
//! not held over the request; the result replaces exactly the generation it was asked with, or nothing.

use std::time::Duration;

use pinterest::{Client, ErrorKind, TokenGrant, retry};
use tokio::task::JoinSet;

use super::database::Context;
use super::import::Interruption;
use super::registry;
use crate::errors::{Failure, Kind};
use crate::store::account::Status;
use crate::store::import::Stop;
use crate::store::{account, import, token};
use crate::tokens::{REFRESH_PATIENCE, Refreshable, Sealer};

/// Accounts refreshed at one time.
const AT_ONCE: usize = 4;
/// After the app's credentials were refused: only a person can mend that, and every account would ask in vain.
const APP_REFUSED_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Without a definite answer, when the policy gives no other pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Storing an answer is tried for minutes: what is lost here, only the user can bring back.
const STORE_ATTEMPTS: u32 = 60;

/// The refreshes of this worker.
pub struct Refreshes {
    context: Context,
    tasks: JoinSet<()>,
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
        let Ok(due) = self.context.database.run(move || token::due(i64::try_from(free).unwrap_or(0))).await else {
            return;
        };
        for account_id in due {
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
pub async fn now(context: &Context, account_id: i64, generation: i64) -> Result<(), Interruption> {
    let until = tokio::time::Instant::now() + REFRESH_PATIENCE;
    loop {
        if attempt(context, account_id, Some(generation)).await? {
            return Ok(());
        }
        let current = context.database.run(move || token::get(account_id)).await?;
        if current.generation > generation {
            return Ok(());
        }
        if tokio::time::Instant::now() >= until {
            return Err(Failure::new(Kind::Database, "another process' refresh of the account takes too long").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One attempt; false where the tokens are not due, newer already, or in others' hands.
async fn attempt(context: &Context, account_id: i64, generation: Option<i64>) -> Result<bool, Interruption> {
    let identity = context.identity.to_string();
    let opened = context
        .database
        .run(move || token::open_attempt(account_id, &identity, &registry::live_identities(), generation))
        .await?;
    if !opened {
        return Ok(false);
    }
    let result = refresh(context, account_id).await;
    if let Err(pause) = &result {
        let (identity, pause) = (context.identity.to_string(), pause.again_in);
        context.database.run(move || token::close_attempt(account_id, &identity, pause)).await?;
    }
    match result {
        Ok(stored) => Ok(stored),
        Err(pause) => Err(pause.into()),
    }
}

/// An attempt that brought nothing.
struct Pause {
    failure: Failure,
    again_in: Duration,
    /// The same request may succeed later without anybody changing anything.
    passes: bool,
}

impl From<Failure> for Pause {
    fn from(failure: Failure) -> Self {
        Pause { failure, again_in: Duration::from_secs(60), passes: false }
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

async fn refresh(context: &Context, account_id: i64) -> Result<bool, Pause> {
    let used = context.database.run(move || Sealer::open()?.refreshable(account_id)).await?;
    let endpoints = context.config.borrow().endpoints.clone();
    let client = Client::new(endpoints).map_err(Failure::from)?;
    let mut answer = client.refresh(&used.app, &used.refresh_token).await;
    if let (Err(error), Some(previous)) = (&answer, &used.previous) {
        // The last answer got lost: perhaps the token it replaced is still the valid one.
        if error.kind() == ErrorKind::NeedsReauth && used.uncertain {
            answer = client.refresh(&used.app, previous).await;
        }
    }
    match answer {
        Ok(grant) => Ok(store(context, account_id, used, grant).await?),
        Err(error) => Err(refused(context, account_id, &used, error).await),
    }
}

/// Stores the answer before anything else is done with it.
async fn store(context: &Context, account_id: i64, used: Refreshable, grant: TokenGrant) -> Result<bool, Failure> {
    let shared = std::sync::Arc::new((used, grant));
    let mut attempt = 0;
    loop {
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
            Ok(stored) => return Ok(stored),
            Err(failure) if attempt >= STORE_ATTEMPTS => return Err(failure),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

/// Draws the consequences of a refusal, which may be none.
async fn refused(context: &Context, account_id: i64, used: &Refreshable, error: pinterest::Error) -> Pause {
    let generation = used.generation;
    // However long the trouble lasts, the token lives longer: this never gives up.
    let attempt = used.attempts.unsigned_abs().clamp(1, retry::MAX_ATTEMPTS - 1);
    let delay = retry::next_delay(attempt, &error, fastrand::f64()).unwrap_or(LONGEST_PAUSE);
    let passes = error.is_retryable();
    let kind = error.kind();
    let uncertain = error.may_have_been_processed();
    let cause = match (kind, used.uncertain) {
        (ErrorKind::NeedsReauth, true) => "lost_response".to_owned(),
        _ => error.to_string(),
    };
    let recorded = context
        .database
        .run(move || {
            // Somebody else's refresh has moved the generation: then this refusal was a race, not a verdict.
            if token::get(account_id)?.generation != generation {
                return Ok(());
            }
            match kind {
                ErrorKind::NeedsReauth => account::needs_reauth(account_id, &cause),
                ErrorKind::AppCredentials => account::set_status(account_id, Status::Connected, Some(&cause)),
                _ if uncertain => account::set_status(account_id, Status::RefreshUncertain, Some(&cause)),
                _ => Ok(()),
            }
        })
        .await;
    let again_in = if kind == ErrorKind::AppCredentials { APP_REFUSED_PAUSE } else { delay };
    match recorded {
        Ok(()) => Pause { failure: error.into(), again_in, passes },
        Err(failure) => Pause { failure, again_in, passes: false },
    }
}
