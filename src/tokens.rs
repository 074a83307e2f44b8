//! Tokens between the table and the client: opened for the call that needs them, sealed before they are stored.
//! Everything here runs on the main thread, inside a transaction, as `pinterest_worker`.

use std::time::Duration;

use pinterest::seal::{Binding, KeyRing, Purpose};
use pinterest::{AppCredentials, Secret, TokenGrant};

use crate::errors::{Failure, Kind};
use crate::keys;
use crate::store::installation::{self, Installation};
use crate::store::token::{self, NewTokens};
use crate::store::{account, app};

/// Less life than this and a token counts as expired: a request may take half a minute.
const MARGIN: f64 = 60.0;

/// An access token ready for use.
pub struct Access {
    /// For the Authorization header.
    pub token: Secret,
    /// Which of the account's tokens it is.
    pub generation: i64,
    /// It has run out, or is about to.
    pub expired: bool,
    /// There is a way to get another without the user.
    pub refreshable: bool,
}

/// What a refresh needs.
pub struct Refreshable {
    /// The app's credentials.
    pub app: AppCredentials,
    /// The generation that the answer must replace.
    pub generation: i64,
    /// The current refresh token.
    pub refresh_token: Secret,
    /// The one before it.
    pub previous: Option<Secret>,
    /// The answer to the last refresh got lost.
    pub uncertain: bool,
    /// Attempts since the last answer, with this one.
    pub attempts: i32,
}

/// The key ring together with what it binds secrets to.
pub struct Sealer {
    ring: KeyRing,
    installation: Installation,
}

impl Sealer {
    /// Reads the key ring; refuses in a copy of another cluster's database.
    pub fn open() -> Result<Self, Failure> {
        let installation = installation::get_or_create()?;
        installation.check_not_a_copy()?;
        Ok(Sealer { ring: keys::ring()?, installation })
    }

    fn binding(&self, purpose: Purpose, row: i64, generation: i64) -> Binding<'_> {
        Binding { installation_id: &self.installation.id, purpose, row, generation }
    }

    /// Seals a secret to the row and generation that it will be stored under.
    pub fn seal(&self, purpose: Purpose, row: i64, generation: i64, secret: &Secret) -> Result<Vec<u8>, Failure> {
        Ok(self.ring.seal(&self.binding(purpose, row, generation), secret, keys::random::<24>()?))
    }

    /// Opens what was sealed to this row and generation.
    pub fn unseal(&self, purpose: Purpose, row: i64, generation: i64, sealed: &[u8]) -> Result<Secret, Failure> {
        Ok(self.ring.open(&self.binding(purpose, row, generation), sealed)?)
    }

    /// Seals a grant for the generation it will have. `kept` stands in where the grant brings no refresh token.
    pub fn seal_grant(
        &self,
        account_id: i64,
        generation: i64,
        grant: &TokenGrant,
        kept: Option<&Secret>,
    ) -> Result<NewTokens, Failure> {
        let refresh_token = grant.refresh_token.as_ref().or(kept);
        Ok(NewTokens {
            access_token: self.seal(Purpose::AccessToken, account_id, generation, &grant.access_token)?,
            refresh_token: refresh_token
                .map(|secret| self.seal(Purpose::RefreshToken, account_id, generation, secret))
                .transpose()?,
            access_expires_in: grant.expires_in,
            refresh_expires_in: grant.refresh_token_expires_in,
            refresh_after: pinterest::refresh_after(grant.expires_in, unit_random()?),
        })
    }

    /// The app's credentials.
    pub fn credentials(&self, app_id: i64) -> Result<AppCredentials, Failure> {
        let (app, sealed) = app::with_secret(app_id)?;
        Ok(AppCredentials {
            client_id: app.client_id,
            client_secret: self.unseal(Purpose::ClientSecret, app_id, 0, &sealed)?,
            redirect_uri: app.redirect_uri,
        })
    }

    /// The account's access token, expired or not.
    pub fn access(&self, account_id: i64) -> Result<Access, Failure> {
        let sealed = token::get(account_id)?;
        if sealed.status == account::Status::NeedsReauth.as_str() {
            return Err(Failure::new(
                Kind::NeedsReauth,
                format!("Pinterest does not accept the tokens of account {account_id} any more"),
            ));
        }
        let generation = sealed.generation;
        Ok(Access {
            token: self.unseal(Purpose::AccessToken, account_id, generation, &sealed.access_token)?,
            generation,
            expired: sealed.access_expires_in < MARGIN,
            refreshable: sealed.refresh_token.is_some() && sealed.app_id.is_some(),
        })
    }

    /// What a refresh of the account needs.
    pub fn refreshable(&self, account_id: i64) -> Result<Refreshable, Failure> {
        let sealed = token::get(account_id)?;
        let missing =
            |what| Failure::new(Kind::NeedsReauth, format!("account {account_id} has no {what} to refresh with"));
        let app_id = sealed.app_id.ok_or_else(|| missing("app"))?;
        let refresh_token = sealed.refresh_token.ok_or_else(|| missing("refresh token"))?;
        let generation = sealed.generation;
        Ok(Refreshable {
            app: self.credentials(app_id)?,
            generation,
            refresh_token: self.unseal(Purpose::RefreshToken, account_id, generation, &refresh_token)?,
            previous: sealed
                .previous_refresh_token
                .map(|bytes| self.unseal(Purpose::PreviousRefreshToken, account_id, generation, &bytes))
                .transpose()?,
            uncertain: sealed.status == account::Status::RefreshUncertain.as_str(),
            attempts: sealed.attempts,
        })
    }

    /// Opens one stored secret, if there is any, to see that the key ring fits.
    pub fn check(&self) -> Result<(), Failure> {
        match app::any_id()? {
            Some(app_id) => self.credentials(app_id).map(drop),
            None => Ok(()),
        }
    }

    /// Stores a refresh's answer, unless another has been stored meanwhile; true where it was stored.
    pub fn store_refresh(&self, account_id: i64, used: &Refreshable, grant: &TokenGrant) -> Result<bool, Failure> {
        let next = used.generation + 1;
        let new = self.seal_grant(account_id, next, grant, Some(&used.refresh_token))?;
        let previous = self.seal(Purpose::PreviousRefreshToken, account_id, next, &used.refresh_token)?;
        token::compare_and_swap(account_id, used.generation, new, Some(previous), &grant.scopes)
    }
}

/// A number in [0, 1).
pub fn unit_random() -> Result<f64, Failure> {
    Ok(f64::from(u32::from_ne_bytes(keys::random::<4>()?)) / (f64::from(u32::MAX) + 1.0))
}

/// How long a caller waits for a refresh that another process does.
pub const REFRESH_PATIENCE: Duration = Duration::from_secs(40);
