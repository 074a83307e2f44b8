//! Tokens, for the endpoints and the tests.

use super::{State, lock};
use crate::error::Error;
use crate::oauth::{Grant, READ_SCOPES, parse_scopes};

impl State {
    /// Chooses the user of the authorize page.
    pub fn sign_in(&self, username: &str) -> Result<(), Error> {
        let account = self.world().account(username)?;
        *lock(&self.signed_in) = account;
        Ok(())
    }

    /// A code for the account that is signed in.
    pub(crate) fn issue_code(&self, scopes: Vec<&'static str>, redirect_uri: &str) -> String {
        let account = *lock(&self.signed_in);
        let now = self.clock.now();
        self.ledger().issue_code(account, scopes, redirect_uri, now)
    }

    pub(crate) fn redeem_code(&self, code: &str, redirect_uri: &str, with_refresh_token: bool) -> Option<Grant> {
        let now = self.clock.now();
        let (account, scopes) = self.ledger().redeem(code, redirect_uri, now)?;
        Some(self.grant(account, scopes, with_refresh_token))
    }

    /// A new grant, with a new refresh token if `rotates`. `None` if the token is invalid or does not have these scopes.
    pub(crate) fn refresh(
        &self,
        refresh_token: &str,
        scopes: Option<Vec<&'static str>>,
        rotates: bool,
    ) -> Option<Grant> {
        let now = self.clock.now();
        let old = if rotates {
            self.ledger().refresh(refresh_token, now)?
        } else {
            self.ledger().accepted_refresh(refresh_token, now)?.clone()
        };
        let scopes = match scopes {
            None => old.scopes,
            Some(wanted) if wanted.iter().all(|scope| old.scopes.contains(scope)) => wanted,
            Some(_) => return None,
        };
        Some(self.grant(old.account, scopes, rotates))
    }

    /// A grant for client credentials, which belong to the owner of the app: the first account.
    pub(crate) fn grant_owner(&self, scopes: Vec<&'static str>) -> Grant {
        self.grant(0, scopes, false)
    }

    /// Issues a grant with all read scopes, as if the account had just connected.
    pub fn issue_grant(&self, username: &str) -> Result<Grant, Error> {
        let account = self.world().account(username)?;
        Ok(self.grant(account, READ_SCOPES.to_vec(), true))
    }

    /// Issues a grant with these scopes.
    pub fn issue_grant_with(&self, username: &str, scopes: &[&str]) -> Result<Grant, Error> {
        let account = self.world().account(username)?;
        let scopes = parse_scopes(&scopes.join(" ")).map_err(|name| Error::unknown("scope", name))?;
        Ok(self.grant(account, scopes, true))
    }

    /// The account's newest refresh token that is valid now.
    pub fn valid_refresh_token(&self, username: &str) -> Option<String> {
        let account = self.world().account(username).ok()?;
        self.ledger().newest_refresh(account, self.clock.now())
    }

    /// The account's newest access token that is valid now.
    pub fn valid_access_token(&self, username: &str) -> Option<String> {
        let account = self.world().account(username).ok()?;
        self.ledger().newest_access(account, self.clock.now())
    }

    /// Whether a refresh token is valid now.
    pub fn accepts_refresh_token(&self, refresh_token: &str) -> bool {
        self.ledger().accepts_refresh(refresh_token, self.clock.now())
    }

    /// Revokes all tokens of an account, as if the user had removed the app.
    pub fn revoke(&self, username: &str) -> Result<(), Error> {
        let account = self.world().account(username)?;
        self.ledger().revoke(account);
        Ok(())
    }

    /// Expires the access tokens of an account, not its refresh tokens.
    pub fn expire_access_tokens(&self, username: &str) -> Result<(), Error> {
        let account = self.world().account(username)?;
        self.ledger().expire_access(account);
        Ok(())
    }

    fn grant(&self, account: usize, scopes: Vec<&'static str>, with_refresh_token: bool) -> Grant {
        let username = self.world().accounts[account].clone();
        let now = self.clock.now();
        self.ledger().issue(account, &username, scopes, with_refresh_token, now)
    }
}
