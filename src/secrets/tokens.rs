//! The tokens of an account: opened for the call that needs them, sealed before they are stored. Everything here runs on the
//! main thread, inside a transaction, as `pinterest_worker`.

use std::time::Duration;

use pinterest::refresh::Attempt;
use pinterest::seal::Purpose;
use pinterest::{AppCredentials, Secret, TokenGrant};

use super::keys;
use super::sealer::Sealer;
use crate::errors::{Failure, Kind};
use crate::store::token::{self, NewTokens, SealedTokens};
use crate::store::{account, token_answer};

/// A token that expires in fewer seconds counts as expired: a request may take half a minute.
const MARGIN: f64 = 60.0;

/// An access token ready for use.
pub struct Access {
    /// For the Authorization header.
    pub token: Secret,
    /// Generation of the account's tokens.
    pub generation: i64,
    /// It has expired, or is about to.
    pub expired: bool,
    /// It can be refreshed without the user.
    pub refreshable: bool,
}

/// The input of a refresh.
pub struct Refreshable {
    /// The app's credentials.
    pub app: AppCredentials,
    /// The generation that the answer must replace.
    pub generation: i64,
    /// The current refresh token.
    pub refresh_token: Secret,
    /// The refresh token before it.
    pub previous: Option<Secret>,
    /// Time until the refresh token expires, if known.
    pub refresh_expires_in: Option<Duration>,
    /// The attempts so far.
    pub attempt: Attempt,
}

impl Sealer {
    /// Seals a grant for the generation that it will have. `kept`, with the time until it expires, is used if the grant has no
    /// refresh token.
    pub fn seal_grant(
        &self,
        account_id: i64,
        generation: i64,
        grant: &TokenGrant,
        kept: Option<(&Secret, Option<Duration>)>,
    ) -> Result<NewTokens, Failure> {
        let refresh_token = grant.refresh_token.as_ref().or(kept.map(|(secret, _)| secret));
        let refresh_expires_in = match &grant.refresh_token {
            Some(_) => grant.refresh_token_expires_in,
            None => kept.and_then(|(_, left)| left),
        };
        Ok(NewTokens {
            access_token: self.seal(Purpose::AccessToken, account_id, generation, &grant.access_token)?,
            refresh_token: refresh_token
                .map(|secret| self.seal(Purpose::RefreshToken, account_id, generation, secret))
                .transpose()?,
            access_expires_in: grant.expires_in,
            refresh_expires_in,
            refresh_after: pinterest::refresh::after(grant.expires_in, refresh_expires_in, unit_random()?),
        })
    }

    /// The account's access token, expired or not.
    pub fn access(&self, account_id: i64) -> Result<Access, Failure> {
        self.access_of(account_id, &usable(account_id)?)
    }

    /// The access token of these tokens.
    pub fn access_of(&self, account_id: i64, sealed: &SealedTokens) -> Result<Access, Failure> {
        let generation = sealed.generation;
        Ok(Access {
            token: self.unseal(Purpose::AccessToken, account_id, generation, &sealed.access_token)?,
            generation,
            expired: sealed.access_expires_in < MARGIN,
            refreshable: sealed.refresh_token.is_some() && sealed.app_id.is_some(),
        })
    }

    /// The input of a refresh of these tokens.
    pub fn refreshable(&self, account_id: i64, sealed: &SealedTokens) -> Result<Refreshable, Failure> {
        let missing =
            |what| Failure::new(Kind::NeedsReauth, format!("account {account_id} has no {what} to refresh with"));
        let app_id = sealed.app_id.ok_or_else(|| missing("app"))?;
        let refresh_token = sealed.refresh_token.as_ref().ok_or_else(|| missing("refresh token"))?;
        let generation = sealed.generation;
        Ok(Refreshable {
            app: self.credentials(app_id)?,
            generation,
            refresh_token: self.unseal(Purpose::RefreshToken, account_id, generation, refresh_token)?,
            previous: sealed
                .previous_refresh_token
                .as_ref()
                .map(|bytes| self.unseal(Purpose::PreviousRefreshToken, account_id, generation, bytes))
                .transpose()?,
            refresh_expires_in: sealed.refresh_expires_in.map(|left| Duration::from_secs_f64(left.max(0.0))),
            attempt: Attempt {
                number: sealed.attempts.unsigned_abs(),
                uncertain: sealed.uncertain,
                refresh_token_expired: sealed.refresh_expires_in.is_some_and(|left| left <= 0.0),
            },
        })
    }

    /// Stores the result of a refresh under `generation`, unless other tokens have been stored meanwhile; returns true if it
    /// was stored.
    pub fn store_refresh(
        &self,
        account_id: i64,
        used: &Refreshable,
        generation: i64,
        grant: &TokenGrant,
    ) -> Result<bool, Failure> {
        let (new, previous) = self.seal_refresh(account_id, used, generation, grant)?;
        let numbers = (used.generation, generation);
        token::compare_and_swap(account_id, numbers, new, Some(previous), &grant.scopes)
    }

    /// Stores the result of a refresh in `pinterest.token_answer`, because the row of the tokens is locked.
    pub fn keep_refresh(
        &self,
        account_id: i64,
        used: &Refreshable,
        generation: i64,
        grant: &TokenGrant,
    ) -> Result<(), Failure> {
        let (new, previous) = self.seal_refresh(account_id, used, generation, grant)?;
        token_answer::keep(account_id, (used.generation, generation), new, Some(previous), &grant.scopes)
    }

    fn seal_refresh(
        &self,
        account_id: i64,
        used: &Refreshable,
        generation: i64,
        grant: &TokenGrant,
    ) -> Result<(NewTokens, Vec<u8>), Failure> {
        let new =
            self.seal_grant(account_id, generation, grant, Some((&used.refresh_token, used.refresh_expires_in)))?;
        Ok((new, self.seal(Purpose::PreviousRefreshToken, account_id, generation, &used.refresh_token)?))
    }

    /// Stores a grant from a user's consent, in place of the account's tokens.
    pub fn store_grant(&self, account_id: i64, grant: &TokenGrant) -> Result<(), Failure> {
        // Locked before the generation is drawn: of two grants, the one stored later has the higher generation.
        token::lock_generation(account_id)?;
        let generation = token::next_generation()?;
        let sealed = self.seal_grant(account_id, generation, grant, None)?;
        token::replace(account_id, generation, sealed, &grant.scopes)
    }

    /// Stores the Pinterest user of an account, and returns the account's id. If the user's account exists already, that is
    /// its id: it gets the tokens, if its own are from an earlier consent, and the new row is deleted.
    pub fn identify(&self, account_id: i64, user_id: &str, username: Option<&str>) -> Result<i64, Failure> {
        let Some(known) = account::account_of_same_person(account_id, user_id)? else { return Ok(account_id) };
        let Some(known) = known else {
            account::identify(account_id, Some((user_id, username)))?;
            return Ok(account_id);
        };
        let theirs = token::lock_consent(known)?;
        if let Some(ours) = token::lock_consent(account_id)? {
            let sealed = token::get(account_id)?;
            if sealed.attempt_open {
                // Its result could not be stored: the row would be gone.
                return Err(Failure::new(Kind::Busy, "the account's tokens are being refreshed"));
            }
            if theirs.is_none_or(|theirs| theirs < ours) {
                let generation = token::next_generation()?;
                let sealed_again = |purpose, bytes: &[u8]| {
                    let secret = self.unseal(purpose, account_id, sealed.generation, bytes)?;
                    self.seal(purpose, known, generation, &secret)
                };
                let access = sealed_again(Purpose::AccessToken, &sealed.access_token)?;
                let refresh = sealed
                    .refresh_token
                    .as_ref()
                    .map(|bytes| sealed_again(Purpose::RefreshToken, bytes))
                    .transpose()?;
                token::take_over(account_id, known, generation, (access, refresh))?;
                account::renew(account_id, known, username)?;
            }
        }
        account::merge(account_id, known)?;
        Ok(known)
    }
}

/// The account's sealed tokens.
///
/// # Errors
/// [`Kind::NeedsReauth`]: Pinterest does not accept them any more.
pub fn usable(account_id: i64) -> Result<SealedTokens, Failure> {
    let sealed = token::get(account_id)?;
    if sealed.status == account::NEEDS_REAUTH {
        return Err(Failure::new(
            Kind::NeedsReauth,
            format!("Pinterest does not accept the tokens of account {account_id} any more"),
        ));
    }
    Ok(sealed)
}

/// Opens sealed tokens in a worker. If they were altered, or moved from another row, the account needs the user's consent
/// again, unless newer tokens have been stored since they were read. The caller reports the inner failure and commits what
/// was recorded with it.
pub fn open_or_give_up<T>(
    account_id: i64,
    sealed: &SealedTokens,
    open: impl FnOnce(&Sealer) -> Result<T, Failure>,
) -> Result<Result<T, Failure>, Failure> {
    let failure = match Sealer::open().and_then(|sealer| open(&sealer)) {
        Err(failure) if failure.kind == Kind::SealBroken => failure,
        opened => return Ok(Ok(opened?)),
    };
    account::lock(account_id)?;
    if token::lock_generation(account_id)? != Some(sealed.generation) {
        return Err(Failure::new(Kind::Database, "other tokens were stored meanwhile"));
    }
    account::needs_reauth(account_id, &format!("unreadable: {failure}"))?;
    Ok(Err(failure))
}

/// A number in [0, 1).
fn unit_random() -> Result<f64, Failure> {
    Ok(f64::from(u32::from_ne_bytes(keys::random::<4>()?)) / (f64::from(u32::MAX) + 1.0))
}

/// How long a caller waits for a refresh in another process.
pub const REFRESH_PATIENCE: Duration = Duration::from_secs(40);
