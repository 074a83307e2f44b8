//! API calls of an import, with the account's token. If Pinterest refuses the token, it is refreshed once.

use std::time::Duration;

use pinterest::{Answer, Client, ErrorKind, RateLimit, Secret, retry};

use super::failure::{Interruption, QUOTA_PAUSE};
use crate::errors::{Failure, Kind};
use crate::secrets::tokens::{self, Access};
use crate::statistics;
use crate::store;
use crate::store::import::Stop;
use crate::store::quota::{Observed, Turn};
use crate::workers::context::Context;
use crate::workers::refresh::{self, Urgency};

/// If a quota renews within this many seconds, the call waits for it; otherwise the import waits.
const SHORT_WAIT: f64 = 5.0;

/// Tokens with which a call is tried, besides the first.
const TOKENS: usize = 3;

/// Why a call failed.
#[derive(Debug)]
pub enum Refused {
    /// Pinterest refuses it or cannot be reached.
    Call(pinterest::Error),
    /// The token could not be refreshed, or the quota is used up.
    Interrupted(Interruption),
}

impl Refused {
    /// The kind of Pinterest's refusal.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Refused::Call(error) => Some(error.kind()),
            Refused::Interrupted(_) => None,
        }
    }
}

impl From<pinterest::Error> for Refused {
    fn from(error: pinterest::Error) -> Self {
        Refused::Call(error)
    }
}

/// Pinterest, with one account's token.
pub struct Api {
    /// For image downloads, which carry no token.
    pub client: Client,
    context: Context,
    account_id: i64,
    attempts: i32,
    /// Since the import's first claim.
    age: Duration,
    token: Secret,
    generation: i64,
    refreshable: bool,
    /// Pinterest has answered a call.
    answered: bool,
    /// How long the last refused call has to wait, if the database contains that.
    wait: Option<Duration>,
}

impl Api {
    /// A client with the account's token, which is refreshed first if it has expired.
    ///
    /// # Errors
    /// The interruption of the import if there is no valid token.
    pub async fn open(context: Context, account_id: i64, attempts: i32, age: f64) -> Result<Self, Interruption> {
        let (endpoints, limit) = {
            let config = context.config.borrow();
            (config.endpoints.clone(), config.max_image_bytes)
        };
        let client = statistics::requests::client_of_images(endpoints, limit)
            .map_err(|error| Interruption::local(error.into(), attempts))?;
        let mut access = load(&context, account_id).await?;
        if access.expired && access.refreshable {
            refresh::now(&context, account_id, access.generation, Urgency::Needed).await?;
            access = load(&context, account_id).await?;
        }
        if access.expired && !access.refreshable {
            let failure = Failure::new(Kind::NeedsReauth, "the access token has expired and there is no refresh token");
            return Err(failure.into());
        }
        Ok(Api {
            client,
            context,
            account_id,
            attempts,
            age: seconds(age),
            token: access.token,
            generation: access.generation,
            refreshable: access.refreshable,
            answered: false,
            wait: None,
        })
    }

    /// Makes a call. If Pinterest refuses the token, the call is repeated with the tokens that the account has by now; if these
    /// are the refused ones, they are refreshed once. If that does not help, the account must be reconnected.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn call<T, F>(&mut self, request: impl Fn(Client, Secret) -> F) -> Result<T, Refused>
    where
        F: Future<Output = Result<Answer<T>, pinterest::Error>>,
    {
        self.take_from_quota().await.map_err(Refused::Interrupted)?;
        self.wait = None;
        let client = if self.attempts > 1 && !self.answered { self.client.as_retry() } else { self.client.clone() };
        let mut result = request(client, self.token.clone()).await;
        for _ in 0..TOKENS {
            let Some(kind @ (ErrorKind::Unauthorized | ErrorKind::MissingScope | ErrorKind::NotPermitted)) =
                result.as_ref().err().map(pinterest::Error::kind)
            else {
                break;
            };
            // Only a refusal of the tokens that are stored now concerns the account.
            let may_refresh = kind == ErrorKind::Unauthorized;
            if !self.has_others(may_refresh).await.map_err(Refused::Interrupted)? {
                break;
            }
            self.take_from_quota().await.map_err(Refused::Interrupted)?;
            result = request(self.client.as_retry(), self.token.clone()).await;
        }
        if let Err(error) = &result {
            match error.kind() {
                // Without a code it may come from a proxy.
                ErrorKind::Unauthorized if error.code().is_some() => self.needs_reauth(error.to_string()).await,
                ErrorKind::RateLimited | ErrorKind::SpamHold => self.exhausted(error).await,
                // If the app was answered a moment ago, only this call is refused.
                ErrorKind::AppAccess if !self.answered => self.app_refused(error).await,
                kind if error.code().is_some() && kind.shows_access() => self.app_is_answered().await,
                _ => {}
            }
        }
        let answer = result?;
        self.app_is_answered().await;
        self.observe(&answer.rate_limit).await;
        Ok(answer.value)
    }

    /// What the refusal means for the import.
    pub fn interruption(&self, refused: impl Into<Refused>) -> Interruption {
        match refused.into() {
            Refused::Call(error) => match Interruption::from_api(error, self.attempts, self.age, fastrand::f64()) {
                Interruption::Stopped { stop: stop @ (Stop::WaitingQuota | Stop::WaitingAccess), failure, wake_in } => {
                    Interruption::Stopped { stop, failure, wake_in: self.wait.unwrap_or(wake_in) }
                }
                Interruption::Stopped { stop: Stop::NeedsReauth, failure, .. } => {
                    Interruption::Refused { failure, generation: self.generation }
                }
                interruption => interruption,
            },
            Refused::Interrupted(interruption) => interruption,
        }
    }

    /// Takes the tokens that the account has by now or, if these are the refused ones, refreshes them, once. False if there are
    /// no others.
    async fn has_others(&mut self, may_refresh: bool) -> Result<bool, Interruption> {
        let stored = load(&self.context, self.account_id).await?;
        if stored.generation != self.generation {
            self.refreshable = stored.refreshable;
            (self.token, self.generation) = (stored.token, stored.generation);
            return Ok(true);
        }
        if !may_refresh || !std::mem::take(&mut self.refreshable) {
            return Ok(false);
        }
        refresh::now(&self.context, self.account_id, self.generation, Urgency::Needed).await?;
        let access = load(&self.context, self.account_id).await?;
        (self.token, self.generation) = (access.token, access.generation);
        Ok(true)
    }

    async fn needs_reauth(&self, cause: String) {
        let (account_id, generation) = (self.account_id, self.generation);
        let recorded = self.context.database.run(move || {
            store::account::lock(account_id)?;
            if store::token::lock_generation(account_id)? != Some(generation) {
                return Ok(());
            }
            store::account::needs_reauth(account_id, &cause)
        });
        // If it fails, the state of the import shows the same.
        let _ = recorded.await;
    }

    /// Takes one request from the quota, waiting if it renews soon, and waits for its turn if requests are paced.
    async fn take_from_quota(&self) -> Result<(), Interruption> {
        loop {
            let account_id = self.account_id;
            match self.context.database.run(move || store::quota::take(account_id)).await? {
                Turn::In(left) => {
                    tokio::time::sleep(seconds(left)).await;
                    return Ok(());
                }
                Turn::Spent(left) if left > SHORT_WAIT => {
                    return Err(Interruption::Stopped {
                        stop: Stop::WaitingQuota,
                        failure: Failure::new(Kind::RateLimited, "the requests that Pinterest allows are used up"),
                        wake_in: seconds(left),
                    });
                }
                Turn::Spent(left) => tokio::time::sleep(seconds(left.max(0.05))).await,
            }
        }
    }

    /// Records that the quota is used up, so that all imports that share it wait without a request.
    async fn exhausted(&mut self, error: &pinterest::Error) {
        let account_id = self.account_id;
        let is_stated = error.retry_after().is_some() || error.kind() == ErrorKind::SpamHold;
        let stated = retry::next_delay(1, error, fastrand::f64()).filter(|_| is_stated);
        if error.is_about_pace() {
            self.wait = stated;
            let pause = stated.unwrap_or(QUOTA_PAUSE).as_secs_f64();
            let _ = self.context.database.run(move || store::quota::pause(account_id, pause)).await;
            return;
        }
        let stated_seconds = stated.map(|stated| stated.as_secs_f64());
        // If it fails, this import waits all the same, and the others after their next request.
        let waited = self.context.database.run(move || store::quota::exhausted(account_id, stated_seconds)).await;
        self.wait = stated.or_else(|| waited.ok().flatten().map(seconds));
    }

    /// Records that the app is refused, so that all its imports wait; one of them makes a request now and then.
    async fn app_refused(&mut self, error: &pinterest::Error) {
        let (account_id, cause) = (self.account_id, error.to_string());
        // If it fails, the others wait after their next request.
        let refused = self.context.database.run(move || store::app_access::refused(account_id, &cause)).await;
        self.wait = refused.ok().flatten().map(seconds);
    }

    /// Records that the app has access, after the first answer of each run.
    async fn app_is_answered(&mut self) {
        if self.answered {
            return;
        }
        let account_id = self.account_id;
        let granted = self.context.database.run(move || store::app_access::granted(account_id)).await;
        // If it fails, the next answer has the same effect.
        self.answered = granted.is_ok();
        if let Ok(true) = granted {
            self.context.wake.notify_one();
        }
    }

    async fn observe(&self, rate: &RateLimit) {
        let account_id = self.account_id;
        let number = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
        let length = |value: Option<Duration>| value.map(|value| value.as_secs_f64());
        let observed = Observed {
            limit: number(rate.limit),
            window: length(rate.window),
            remaining: number(rate.remaining),
            reset_in: length(rate.reset),
            pace: length(rate.pace),
        };
        let recorded = self.context.database.run(move || match observed == Observed::default() {
            true => store::quota::accepted(account_id),
            false => store::quota::observe(account_id, &observed),
        });
        // If it fails, the next answer contains the same.
        let _ = recorded.await;
    }
}

/// A time from the database.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

async fn load(context: &Context, account_id: i64) -> Result<Access, Interruption> {
    let load = move || {
        let sealed = tokens::usable(account_id)?;
        tokens::open_or_give_up(account_id, &sealed, |sealer| sealer.access_of(account_id, &sealed))
    };
    Ok(context.database.run(load).await??)
}
