//! Codes and tokens, with their accounts, scopes and times of expiry.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::Grant;
use crate::config::{OldRefreshToken, TokenRules};
use crate::random::mix;

/// The ledger. Accounts are indexes; times are durations since the Unix epoch.
pub(crate) struct Ledger {
    seed: u64,
    rules: TokenRules,
    issued: u64,
    codes: HashMap<String, Code>,
    access: HashMap<String, Token>,
    refresh: HashMap<String, Token>,
}

/// A code that can be exchanged.
#[derive(Clone, Debug)]
struct Code {
    account: usize,
    scopes: Vec<&'static str>,
    redirect_uri: String,
    expires: Duration,
}

/// A token's account and scopes.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) account: usize,
    pub(crate) scopes: Vec<&'static str>,
    /// Order of issue: the highest is the newest.
    number: u64,
    expires: Duration,
}

impl fmt::Debug for Ledger {
    /// Without tokens: a test that searches output for tokens must find those of the program under test only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ledger").field("issued", &self.issued).finish_non_exhaustive()
    }
}

impl Ledger {
    pub(crate) fn new(seed: u64, rules: TokenRules) -> Self {
        Self { seed, rules, issued: 0, codes: HashMap::new(), access: HashMap::new(), refresh: HashMap::new() }
    }

    pub(crate) fn issue_code(
        &mut self,
        account: usize,
        scopes: Vec<&'static str>,
        redirect_uri: &str,
        now: Duration,
    ) -> String {
        let code = self.invent("");
        let entry =
            Code { account, scopes, redirect_uri: redirect_uri.to_string(), expires: now + self.rules.code_lifetime };
        self.codes.insert(code.clone(), entry);
        code
    }

    /// Consumes a code; `None` if it does not exist, was used, has expired, or belongs to another redirect address.
    pub(crate) fn redeem(
        &mut self,
        code: &str,
        redirect_uri: &str,
        now: Duration,
    ) -> Option<(usize, Vec<&'static str>)> {
        let code = self.codes.remove(code)?;
        (code.redirect_uri == redirect_uri && now < code.expires).then_some((code.account, code.scopes))
    }

    /// Issues an access token and, if requested, a refresh token.
    pub(crate) fn issue(
        &mut self,
        account: usize,
        username: &str,
        scopes: Vec<&'static str>,
        with_refresh_token: bool,
        now: Duration,
    ) -> Grant {
        let rules = self.rules.clone();
        let scope = scopes.join(" ");
        let prefix = if with_refresh_token { "pina_" } else { "pinc_" };
        let access_token = self.invent(prefix);
        let token = Token { account, scopes, number: self.issued, expires: now + rules.access_lifetime };
        self.access.insert(access_token.clone(), token.clone());
        let refresh_token = with_refresh_token.then(|| self.invent("pinr."));
        if let Some(name) = &refresh_token {
            let expires = now + rules.refresh_lifetime;
            self.refresh.insert(name.clone(), Token { expires, ..token });
        }
        let lifetime = with_refresh_token.then_some(rules.refresh_lifetime.as_secs());
        Grant {
            account: username.to_string(),
            access_token,
            expires_in: rules.access_lifetime.as_secs(),
            refresh_token,
            refresh_token_expires_in: lifetime,
            refresh_token_expires_at: lifetime.map(|seconds| now.as_secs() + seconds),
            scope,
        }
    }

    /// Uses a refresh token; [`TokenRules::old_refresh_token`] states whether it stays valid.
    pub(crate) fn refresh(&mut self, refresh_token: &str, now: Duration) -> Option<Token> {
        let token = self.refresh.get_mut(refresh_token)?;
        if now >= token.expires {
            return None;
        }
        let found = token.clone();
        match self.rules.old_refresh_token {
            OldRefreshToken::Dead => {
                self.refresh.remove(refresh_token);
            }
            OldRefreshToken::AliveFor(grace) => token.expires = token.expires.min(now + grace),
            OldRefreshToken::Alive => {}
        }
        Some(found)
    }

    pub(crate) fn access(&self, access_token: &str, now: Duration) -> Option<&Token> {
        self.access.get(access_token).filter(|token| now < token.expires)
    }

    pub(crate) fn accepts_refresh(&self, refresh_token: &str, now: Duration) -> bool {
        self.accepted_refresh(refresh_token, now).is_some()
    }

    pub(crate) fn accepted_refresh(&self, refresh_token: &str, now: Duration) -> Option<&Token> {
        self.refresh.get(refresh_token).filter(|token| now < token.expires)
    }

    pub(crate) fn newest_access(&self, account: usize, now: Duration) -> Option<String> {
        newest(&self.access, account, now)
    }

    pub(crate) fn newest_refresh(&self, account: usize, now: Duration) -> Option<String> {
        newest(&self.refresh, account, now)
    }

    pub(crate) fn expire_access(&mut self, account: usize) {
        self.access.retain(|_, token| token.account != account);
    }

    pub(crate) fn revoke(&mut self, account: usize) {
        self.expire_access(account);
        self.refresh.retain(|_, token| token.account != account);
        self.codes.retain(|_, code| code.account != account);
    }

    /// A new secret, as long as a real one and recognisable as an example.
    fn invent(&mut self, prefix: &str) -> String {
        self.issued += 1;
        let words = (0..4).map(|word| mix(&[self.seed, 0x7043, self.issued, word]));
        let body: String = words.map(|word| format!("{word:016x}")).collect();
        format!("{prefix}SANDBOX_EXAMPLE_{body}")
    }
}

fn newest(tokens: &HashMap<String, Token>, account: usize, now: Duration) -> Option<String> {
    tokens
        .iter()
        .filter(|(_, token)| token.account == account && now < token.expires)
        .max_by_key(|(_, token)| token.number)
        .map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn ledger(old_refresh_token: OldRefreshToken) -> Ledger {
        let rules = TokenRules { old_refresh_token, ..TokenRules::default() };
        Ledger::new(1, rules)
    }

    fn first_refresh_token(ledger: &mut Ledger) -> String {
        let grant = ledger.issue(0, "example_user", vec!["pins:read"], true, NOW);
        grant.refresh_token.expect("asked for")
    }

    #[test]
    fn a_single_use_token_is_accepted_once() {
        let mut ledger = ledger(OldRefreshToken::Dead);
        let token = first_refresh_token(&mut ledger);
        assert!(ledger.refresh(&token, NOW).is_some());
        assert!(ledger.refresh(&token, NOW).is_none());
    }

    #[test]
    fn a_token_with_grace_expires_later() {
        let mut ledger = ledger(OldRefreshToken::AliveFor(Duration::from_secs(60)));
        let token = first_refresh_token(&mut ledger);
        assert!(ledger.refresh(&token, NOW).is_some());
        assert!(ledger.refresh(&token, NOW + Duration::from_secs(59)).is_some());
        assert!(ledger.refresh(&token, NOW + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn codes_are_used_once_and_bound_to_their_address() {
        let mut ledger = ledger(OldRefreshToken::Dead);
        let code = ledger.issue_code(0, vec![], "http://localhost/", NOW);
        assert!(ledger.redeem(&code, "http://localhost", NOW).is_none());
        let code = ledger.issue_code(0, vec![], "http://localhost/", NOW);
        assert!(ledger.redeem(&code, "http://localhost/", NOW).is_some());
        assert!(ledger.redeem(&code, "http://localhost/", NOW).is_none());
    }

    #[test]
    fn tokens_expire() {
        let mut ledger = ledger(OldRefreshToken::Alive);
        let grant = ledger.issue(0, "example_user", vec![], true, NOW);
        let month = Duration::from_secs(grant.expires_in);
        assert!(ledger.access(&grant.access_token, NOW).is_some());
        assert!(ledger.access(&grant.access_token, NOW + month).is_none());
        let token = grant.refresh_token.expect("asked for");
        assert!(ledger.refresh(&token, NOW + month).is_some());
        assert!(ledger.refresh(&token, NOW + 2 * month).is_none());
    }
}
