//! The sandbox, a ledger and a worker with a simulated clock. The invariants are checked at every step.

use std::time::Duration;

use pinterest::refresh::{self, Ask, Cause, FailedRefresh};
use pinterest::{AppCredentials, Client, Endpoints, Secret, TokenGrant};
use sandbox::config::{AccountSpec, OldRefreshToken, TokenRules};
use sandbox::{Config, Kind, Rule, RuleId, Sandbox};

use super::ledger::{Ledger, Opened, Status, Time};
use super::mishap::{Mishap, Truth, Weather};

pub const MINUTE: Time = 60;
pub const HOUR: Time = 60 * MINUTE;
pub const DAY: Time = 24 * HOUR;

/// The growing waits of the first hour, then two attempts per hour.
const MOST_REQUESTS_A_DAY: u32 = 55;

/// Time limit of an answer, which ends a simulation that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub sandbox: Sandbox,
    pub ledger: Ledger,
    pub now: Time,
    pub random: fastrand::Rng,
    pub truth: Vec<Truth>,
    /// Recorded losses, with account and reason.
    pub losses: Vec<(usize, Cause)>,
    client: Client,
    /// A client without a network.
    cut_off: Client,
    app: AppCredentials,
    rotation: OldRefreshToken,
    pub weather: Weather,
    rule: Option<RuleId>,
    worker: u64,
    /// The server was off for weeks, so access tokens may have expired.
    catching_up_until: Time,
}

impl World {
    pub fn new(accounts: usize, rotation: OldRefreshToken, seed: u64) -> Self {
        let config = Config {
            seed,
            accounts: (0..accounts).map(|account| AccountSpec::new(username(account))).collect(),
            tokens: TokenRules { old_refresh_token: rotation, ..TokenRules::default() },
            ..Config::default()
        };
        let app = AppCredentials {
            client_id: config.app.client_id.clone(),
            client_secret: Secret::new(config.app.client_secret.clone()),
            redirect_uri: config.app.redirect_uris[0].clone(),
        };
        let sandbox = Sandbox::start(config).unwrap();
        let client = |host: &str| {
            let endpoints = Endpoints {
                api: host.parse().unwrap(),
                authorize: host.parse().unwrap(),
                images: Vec::new(),
                ca_file: Some(sandbox.ca_file().to_owned()),
                ..Endpoints::default()
            };
            Client::new(endpoints).unwrap()
        };
        let mut ledger = Ledger::default();
        ledger.live.insert(0);
        Self {
            // Port 1 is closed.
            cut_off: client("localhost:1"),
            client: client(&sandbox.host()),
            ledger,
            now: 0,
            random: fastrand::Rng::with_seed(seed),
            truth: Vec::new(),
            losses: Vec::new(),
            app,
            rotation,
            weather: Weather::Fair,
            rule: None,
            worker: 0,
            catching_up_until: 0,
            sandbox,
        }
    }

    /// The user consents, for the first time or again.
    pub fn connect(&mut self, account: usize) {
        let issued = self.sandbox.issue_grant(&username(account)).unwrap();
        let grant = TokenGrant::from_parts(
            Secret::new(issued.access_token),
            issued.expires_in.cast_signed(),
            issued.refresh_token.map(Secret::new),
            issued.refresh_token_expires_in.map(u64::cast_signed),
            "",
        )
        .unwrap();
        self.ledger.connect(account, &grant, self.now, self.random.f64());
        if account == self.truth.len() {
            self.truth.push(Truth::default());
        }
        let truth = &mut self.truth[account];
        *truth = Truth { generation: truth.generation, requests_today: truth.requests_today, ..Truth::default() };
    }

    pub fn revoke(&mut self, account: usize) {
        self.sandbox.revoke(&username(account)).unwrap();
        self.truth[account].revoked = true;
    }

    pub fn set_weather(&mut self, weather: Weather) {
        self.rule.take().map(|rule| self.sandbox.faults().remove(rule));
        self.rule = weather.fault().map(|fault| self.sandbox.faults().add(Rule::on(Kind::Token, fault)));
        self.weather = weather;
    }

    /// Runs until then; `mishap` selects the failure of each attempt.
    pub async fn live_until(&mut self, end: Time, mishap: &mut impl FnMut(&mut Self, usize) -> Mishap) {
        while self.now < end {
            self.work(mishap).await;
            let due = (0..self.ledger.rows.len()).filter_map(|account| self.ledger.due_at(account)).min();
            let midnight = self.now - self.now % DAY + DAY;
            self.advance(due.unwrap_or(midnight).clamp(self.now + 1, midnight.min(end)));
            self.check_access_tokens();
        }
    }

    /// Time passes while the server is off.
    pub fn off_for(&mut self, time: Time) {
        self.crash();
        self.advance(self.now + time);
        self.catching_up_until = self.now + 1;
    }

    pub fn advance(&mut self, to: Time) {
        if self.now / DAY != to / DAY {
            self.truth.iter_mut().for_each(|truth| truth.requests_today = 0);
            (0..self.ledger.rows.len()).for_each(|account| self.check(account));
        }
        self.sandbox.advance_clock(Duration::from_secs(to - self.now));
        self.now = to;
    }

    /// Refreshes all accounts that are due.
    async fn work(&mut self, mishap: &mut impl FnMut(&mut Self, usize) -> Mishap) {
        let due = |ledger: &Ledger, now| {
            let due = (0..ledger.rows.len()).filter(|account| ledger.due_at(*account).is_some_and(|at| at <= now));
            due.min_by_key(|account| ledger.rows[*account].refresh_after)
        };
        while let Some(account) = due(&self.ledger, self.now) {
            let mishap = mishap(self, account);
            self.attempt(account, mishap).await;
            self.check(account);
        }
    }

    async fn attempt(&mut self, account: usize, mishap: Mishap) {
        if mishap == Mishap::CrashBeforeIntent {
            return self.crash();
        }
        let Some(opened) = self.ledger.open(account, self.worker, self.now) else {
            return;
        };
        self.a_rival_gets_nothing(account);
        if mishap == Mishap::CrashAfterIntent {
            return self.crash();
        }
        let answer = self.ask(account, &opened, mishap).await;
        if mishap == Mishap::ReconnectMeanwhile {
            self.connect(account);
        }
        self.a_rival_gets_nothing(account);
        if matches!(mishap, Mishap::CrashWhileHeld | Mishap::CrashWhileAnswered | Mishap::CrashBeforeStoring) {
            return self.crash();
        }
        self.record(account, self.worker, &opened, answer.expect("an answer unless the worker crashed"));
        if mishap == Mishap::CrashAfterStoring {
            self.crash();
        }
    }

    /// Records the answer, as a worker does.
    pub fn record(&mut self, account: usize, worker: u64, opened: &Opened, answer: Result<TokenGrant, FailedRefresh>) {
        let random = self.random.f64();
        match answer {
            Ok(grant) => {
                if self.ledger.store(account, opened, &grant, self.now, random) {
                    let truth = &mut self.truth[account];
                    // Without a new refresh token the loss remains: the old token expires.
                    truth.outdated = truth.answer_lost && grant.refresh_token.is_none();
                    (truth.answer_lost, truth.rotations) = (false, 0);
                }
            }
            Err(refusal) => {
                let was_lost = matches!(self.ledger.rows[account].status, Status::Lost(_));
                self.ledger.refuse(account, worker, opened, refusal.next_step, self.now, random);
                if let Status::Lost(cause) = self.ledger.rows[account].status
                    && !was_lost
                {
                    self.losses.push((account, cause));
                }
            }
        }
    }

    /// The request; `None` if the worker crashes.
    async fn ask(
        &mut self,
        account: usize,
        opened: &Opened,
        mishap: Mishap,
    ) -> Option<Result<TokenGrant, FailedRefresh>> {
        let name = username(account);
        let newest = self.sandbox.valid_refresh_token(&name);
        let arrived = self.sandbox.requests().count(Kind::Token);
        let rule = mishap.fault().map(|fault| self.sandbox.faults().add(Rule::on(Kind::Token, fault).once()));
        let is_away = self.weather == Weather::Away || mishap == Mishap::Unreachable;
        let client = if is_away { &self.cut_off } else { &self.client };
        let asking = request(client.clone(), self.app.clone(), opened.clone(), self.random.f64());
        let answer = if mishap == Mishap::CrashWhileHeld {
            tokio::select! {
                answer = asking => panic!("the request is held, but {answer:?} came"),
                () = self.fires(rule.expect("a rule that holds")) => {}
            }
            None
        } else {
            Some(tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time"))
        };
        rule.map(|rule| self.sandbox.faults().remove(rule));

        let requests = self.sandbox.requests().count(Kind::Token) - arrived;
        assert!(requests <= if opened.attempt.uncertain { 2 } else { 1 }, "{requests} requests for {name}");
        let truth = &mut self.truth[account];
        truth.requests_today += 1;
        assert!(truth.requests_today <= MOST_REQUESTS_A_DAY, "{name} asks too often");
        if self.sandbox.valid_refresh_token(&name) != newest && !truth.revoked {
            truth.rotations += u32::from(self.sandbox.valid_refresh_token(&name).is_some());
            assert!(truth.rotations <= 1 || truth.answer_lost, "{name} was refreshed twice in one generation");
            truth.answer_lost = true;
        }
        answer
    }

    /// A request that continues after its caller has ended.
    pub fn request(&self, opened: &Opened) -> impl Future<Output = Result<TokenGrant, FailedRefresh>> + Send + 'static {
        request(self.client.clone(), self.app.clone(), opened.clone(), 0.5)
    }

    /// Waits until this rule was applied.
    pub async fn fires(&self, rule: RuleId) {
        let fires = async {
            while self.sandbox.faults().fired(rule) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, fires).await.expect("a request that meets the rule");
    }

    /// Another worker at the same time finds nothing to do.
    fn a_rival_gets_nothing(&mut self, account: usize) {
        assert!(self.ledger.open(account, u64::MAX, self.now).is_none(), "two requests for {}", username(account));
    }

    /// The worker crashes, and another starts.
    fn crash(&mut self) {
        self.ledger.live.remove(&self.worker);
        self.worker += 1;
        self.ledger.live.insert(self.worker);
    }

    /// The invariants of an account.
    fn check(&mut self, account: usize) {
        let (row, truth, name) = (&self.ledger.rows[account], &mut self.truth[account], username(account));
        assert!(row.generation >= truth.generation, "the generation of {name} fell");
        truth.generation = row.generation;
        let accepted = self.sandbox.accepts_refresh_token(row.refresh_token.expose());
        match row.status {
            Status::Connected if !truth.lacks_a_token() && row.refresh_expires_at > self.now => {
                assert!(accepted, "{name} is connected by a token that is not valid");
                if self.rotation == OldRefreshToken::Dead {
                    let newest = self.sandbox.valid_refresh_token(&name);
                    assert_eq!(newest.as_deref(), Some(row.refresh_token.expose()), "{name}");
                }
            }
            // The breaker restores those that it has let through.
            Status::Lost(_) if self.weather == Weather::AllRefused => {}
            Status::Lost(cause) => {
                assert!(!accepted, "{name} is lost ({cause}) although its token is valid");
                assert!(truth.explains(cause), "{name} is lost: {cause}, {truth:?}");
                assert!(cause != Cause::Expired || row.refresh_expires_at <= row.status_since, "{name}");
            }
            Status::Connected | Status::Uncertain => {}
        }
    }

    /// An account whose user has not removed the app always has an access token.
    fn check_access_tokens(&self) {
        if self.now <= self.catching_up_until {
            return;
        }
        for (account, (row, truth)) in self.ledger.rows.iter().zip(&self.truth).enumerate() {
            if !matches!(row.status, Status::Lost(_)) && !truth.revoked {
                assert!(row.access_expires_at > self.now, "{}'s access token ran out", username(account));
                assert!(self.sandbox.valid_access_token(&username(account)).is_some());
            }
        }
    }
}

async fn request(
    client: Client,
    app: AppCredentials,
    opened: Opened,
    random: f64,
) -> Result<TokenGrant, FailedRefresh> {
    let ask = Ask { app: &app, current: &opened.current, previous: opened.previous.as_ref(), attempt: opened.attempt };
    refresh::ask(&client, ask, random).await
}

pub fn username(account: usize) -> String {
    format!("example_user_{account}")
}
