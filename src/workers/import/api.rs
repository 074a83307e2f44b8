//! API calls of an import: with the account's token, refreshed once where Pinterest says it has expired.

use std::time::Duration;

use pinterest::{Answer, Client, ErrorKind, RateLimit, Secret, retry};

use super::failure::{Interruption, QUOTA_PAUSE};
use crate::errors::{Failure, Kind};
use crate::store;
use crate::store::import::Stop;
use crate::tokens::{self, Access};
use crate::workers::database::Context;
use crate::workers::refresh::{self, Urgency};

/// A quota that renews within this time is waited for here; a longer wait parks the import.
const SHORT_WAIT: f64 = 5.0;

/// Tokens that one call is tried with, beside the first.
const TOKENS: usize = 3;

/// Why a call brought nothing.
#[derive(Debug)]
pub enum Refused {
    /// Pinterest refuses it, or the way there is broken.
    Call(pinterest::Error),
    /// The token could not be renewed, or no request is left to make: this is what becomes of the import.
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

/// Pinterest, as one account sees it.
pub struct Api {
    /// For image downloads, which carry no token.
    pub client: Client,
    context: Context,
    account_id: i64,
    attempts: i32,
    token: Secret,
    generation: i64,
    refreshable: bool,
}

impl Api {
    /// A client with the account's token, refreshed first where it has run out.
    pub async fn open(context: Context, account_id: i64, attempts: i32) -> Result<Self, Interruption> {
        let endpoints = context.config.borrow().endpoints.clone();
        let client = Client::new(endpoints).map_err(|error| Interruption::local(error.into(), attempts))?;
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
            token: access.token,
            generation: access.generation,
            refreshable: access.refreshable,
        })
    }

    /// Makes a call. Where Pinterest refuses the token it is made again with the tokens that the account has by now; where
    /// these are the refused ones, they are refreshed once. Where that does not help, the account needs its user.
    pub async fn call<T, F>(&mut self, request: impl Fn(Client, Secret) -> F) -> Result<T, Refused>
    where
        F: Future<Output = Result<Answer<T>, pinterest::Error>>,
    {
        self.take_from_quota().await.map_err(Refused::Interrupted)?;
        let mut result = request(self.client.clone(), self.token.clone()).await;
        for _ in 0..TOKENS {
            // Only a refusal of the tokens that the account has now says anything about it.
            if !refuses_the_token(&result)
                || !self.has_others(is_unauthorized(&result)).await.map_err(Refused::Interrupted)?
            {
                break;
            }
            self.take_from_quota().await.map_err(Refused::Interrupted)?;
            result = request(self.client.clone(), self.token.clone()).await;
        }
        if let Err(error) = &result
            && is_unauthorized(&result)
        {
            self.needs_reauth(error.to_string()).await;
        }
        if let Err(error) = &result
            && error.kind() == ErrorKind::RateLimited
        {
            self.exhausted(error).await;
        }
        let answer = result?;
        self.observe(&answer.rate_limit).await;
        Ok(answer.value)
    }

    /// What the refusal means for the import.
    pub fn interruption(&self, refused: impl Into<Refused>) -> Interruption {
        match refused.into() {
            Refused::Call(error) => match Interruption::from_api(error, self.attempts, fastrand::f64()) {
                Interruption::Stopped { stop: Stop::NeedsReauth, failure, .. } => {
                    Interruption::Refused { failure, generation: self.generation }
                }
                interruption => interruption,
            },
            Refused::Interrupted(interruption) => interruption,
        }
    }

    /// Goes on with the tokens that the account has by now, or, where these are the refused ones, with refreshed ones, once;
    /// false where there are no others.
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
        // Should it fail, the import's own state tells the user the same.
        let _ = self
            .context
            .database
            .run(move || {
                store::account::lock(account_id)?;
                if store::token::lock_generation(account_id)? != Some(generation) {
                    return Ok(());
                }
                store::account::needs_reauth(account_id, &cause)
            })
            .await;
    }

    /// One request of the budget, waited for where it renews soon.
    async fn take_from_quota(&self) -> Result<(), Interruption> {
        loop {
            let account_id = self.account_id;
            let Some(seconds) = self.context.database.run(move || store::quota::take(account_id)).await? else {
                return Ok(());
            };
            if seconds > SHORT_WAIT {
                return Err(Interruption::Stopped {
                    stop: Stop::WaitingQuota,
                    failure: Failure::new(Kind::RateLimited, "the requests that Pinterest allows are used up"),
                    wake_in: Duration::from_secs_f64(seconds),
                });
            }
            tokio::time::sleep(Duration::from_secs_f64(seconds.max(0.05))).await;
        }
    }

    /// All imports that share this budget wait as long, without asking.
    async fn exhausted(&self, error: &pinterest::Error) {
        let seconds = retry::next_delay(1, error, fastrand::f64()).unwrap_or(QUOTA_PAUSE).as_secs_f64();
        let account_id = self.account_id;
        // This import waits anyway; the others would learn it by an answer of their own.
        let _ = self.context.database.run(move || store::quota::exhausted(account_id, seconds)).await;
    }

    async fn observe(&self, rate: &RateLimit) {
        if rate.limit.is_none() && rate.remaining.is_none() && rate.reset.is_none() {
            return;
        }
        let number = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
        let (limit, remaining) = (number(rate.limit), number(rate.remaining));
        let (reset, account_id) = (rate.reset.map(|left| left.as_secs_f64()), self.account_id);
        // The next answer says it again.
        let _ = self.context.database.run(move || store::quota::observe(account_id, limit, remaining, reset)).await;
    }
}

fn refuses_the_token<T>(result: &Result<T, pinterest::Error>) -> bool {
    matches!(result, Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::MissingScope))
}

fn is_unauthorized<T>(result: &Result<T, pinterest::Error>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::Unauthorized)
}

async fn load(context: &Context, account_id: i64) -> Result<Access, Interruption> {
    let load = move || {
        let sealed = tokens::usable(account_id)?;
        tokens::open_or_give_up(account_id, &sealed, |sealer| sealer.access_of(account_id, &sealed))
    };
    Ok(context.database.run(load).await??)
}
