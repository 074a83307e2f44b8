//! Tokens, as the endpoints and the tests deal with them.

use super::{State, lock};
use crate::error::Error;
use crate::oauth::{Grant, READ_SCOPES, parse_scopes};

impl State {
    pub(crate) fn sign_in(&self, username: &str) -> Result<(), Error> {
        let account = self.world().account(username)?;
        *lock(&self.signed_in) = account;
        Ok(())
    }

    /// A code for whoever is signed in.
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

    /// Grants anew, with a new refresh token where it rotates; `None` where the token is not good or asks for scopes it
    /// never had.
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

    /// Client credentials speak for the app's owner: the first account.
    pub(crate) fn grant_owner(&self, scopes: Vec<&'static str>) -> Grant {
        self.grant(0, scopes, false)
    }

    pub(crate) fn issue_grant(&self, username: &str) -> Result<Grant, Error> {
        let account = self.world().account(username)?;
        Ok(self.grant(account, READ_SCOPES.to_vec(), true))
    }

    pub(crate) fn issue_grant_with(&self, username: &str, scopes: &[&str]) -> Result<Grant, Error> {
        let account = self.world().account(username)?;
        let scopes = parse_scopes(&scopes.join(" ")).map_err(|name| Error::unknown("scope", name))?;
        Ok(self.grant(account, scopes, true))
    }

    pub(crate) fn valid_refresh_token(&self, username: &str) -> Option<String> {
        let account = self.world().account(username).ok()?;
        self.ledger().newest_refresh(account, self.clock.now())
    }

    pub(crate) fn valid_access_token(&self, username: &str) -> Option<String> {
        let account = self.world().account(username).ok()?;
        self.ledger().newest_access(account, self.clock.now())
    }

    pub(crate) fn accepts_refresh_token(&self, refresh_token: &str) -> bool {
        self.ledger().accepts_refresh(refresh_token, self.clock.now())
    }

    pub(crate) fn revoke(&self, username: &str) -> Result<(), Error> {
        let account = self.world().account(username)?;
        self.ledger().revoke(account);
        Ok(())
    }

    pub(crate) fn expire_access_tokens(&self, username: &str) -> Result<(), Error> {
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
