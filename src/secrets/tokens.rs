//! Tokens between the table and the client: opened for the call that needs them, sealed before they are stored.
//! Everything here runs on the main thread, inside a transaction, as `pinterest_worker`.

use std::rc::Rc;
use std::time::Duration;

use pinterest::refresh::Attempt;
use pinterest::seal::{Binding, KeyRing, Purpose};
use pinterest::{AppCredentials, Secret, TokenGrant};

use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::postgres::platform::NoCoreDump;
use crate::secrets::keys;
use crate::settings;
use crate::store::installation::{self, Installation};
use crate::store::seal::{self, SealedRow, SealedTable};
use crate::store::token::{self, NewTokens, SealedTokens};
use crate::store::{account, app, grants, token_answer};

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
    /// What is left of the refresh token's life, where that is known.
    pub refresh_expires_in: Option<Duration>,
    /// What is known of the attempts before.
    pub attempt: Attempt,
}

/// The key ring together with what it binds secrets to.
pub struct Sealer {
    ring: Rc<KeyRing>,
    installation: Installation,
    _no_core_dump: NoCoreDump,
}

impl Sealer {
    /// Reads the key ring; refuses in a copy of another database.
    pub fn open() -> Result<Self, Failure> {
        let installation = installation::get_or_create()?;
        installation.check_not_a_copy()?;
        let _no_core_dump = NoCoreDump::new();
        Ok(Sealer { ring: keys::ring()?, installation, _no_core_dump })
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

    /// Seals a grant for the generation it will have. `kept`, with what is left of its life, stands in where
    /// the grant brings no refresh token.
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

    /// The app's credentials.
    pub fn credentials(&self, app_id: i64) -> Result<AppCredentials, Failure> {
        let (app, owner, sealed) = app::with_secret(app_id)?;
        let client_secret = match sealed {
            Some(sealed) => self.unseal(Purpose::ClientSecret, app_id, 0, &sealed).map_err(of_app)?,
            None => secret_of_file(&app.client_id, &owner)?,
        };
        Ok(AppCredentials { client_id: app.client_id, client_secret, redirect_uri: app.redirect_uri })
    }

    /// The account's access token, expired or not.
    pub fn access(&self, account_id: i64) -> Result<Access, Failure> {
        self.access_of(account_id, &usable(account_id)?)
    }

    /// The access token among these.
    pub fn access_of(&self, account_id: i64, sealed: &SealedTokens) -> Result<Access, Failure> {
        let generation = sealed.generation;
        Ok(Access {
            token: self.unseal(Purpose::AccessToken, account_id, generation, &sealed.access_token)?,
            generation,
            expired: sealed.access_expires_in < MARGIN,
            refreshable: sealed.refresh_token.is_some() && sealed.app_id.is_some(),
        })
    }

    /// What a refresh of the account needs, out of these.
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

    /// The key ring's active key and all of its keys, by fingerprint.
    pub fn keys(&self) -> (String, Vec<String>) {
        (self.ring.active().to_string(), self.ring.fingerprints().iter().map(ToString::to_string).collect())
    }

    /// The keys that sealed secrets name: those of the ring, and those that it lacks.
    pub fn named_keys(&self) -> Result<(Vec<seal::SealedWith>, Vec<seal::SealedWith>), Failure> {
        let (_, ring) = self.keys();
        Ok(seal::by_key()?.into_iter().partition(|key| ring.contains(&key.fingerprint)))
    }

    /// The refusal for secrets that name keys which the ring lacks.
    pub fn missing_keys(&self, missing: &[seal::SealedWith]) -> Failure {
        let missing: Vec<_> = missing
            .iter()
            .map(|key| format!("{} secrets are sealed with key {}", key.secrets, key.fingerprint))
            .collect();
        let (_, ring) = self.keys();
        Failure::new(Kind::KeyMissing, format!("{}; the server has {}", missing.join(", "), ring.join(", ")))
    }

    /// Seals the next batch of rows with the active key that name another of the ring's. Returns the id of the last one,
    /// `None` at the end, and how many could not be opened, which stay as they are.
    pub fn reseal(&self, place: SealedTable, after: i64, limit: i64) -> Result<(Option<i64>, usize), Failure> {
        let (active, ring) = self.keys();
        let old: Vec<String> = ring.into_iter().filter(|key| *key != active).collect();
        let rows = seal::batch(place, after, &old, limit)?;
        let last = rows.last().map(|row| row.id);
        let mut broken = 0;
        for row in rows {
            match self.sealed_anew(place, &row) {
                Ok(secrets) => seal::put_back(place, SealedRow { secrets, ..row })?,
                Err(failure) if matches!(failure.kind, Kind::SealBroken | Kind::KeyMissing) => broken += 1,
                Err(failure) => return Err(failure),
            }
        }
        Ok((last, broken))
    }

    fn sealed_anew(&self, place: SealedTable, row: &SealedRow) -> Result<[Option<Vec<u8>>; 3], Failure> {
        let purposes = match place {
            SealedTable::Tokens => [Purpose::AccessToken, Purpose::RefreshToken, Purpose::PreviousRefreshToken],
            SealedTable::Apps => [Purpose::ClientSecret; 3],
        };
        let mut anew = [None, None, None];
        for ((purpose, sealed), slot) in purposes.into_iter().zip(&row.secrets).zip(&mut anew) {
            if let Some(sealed) = sealed {
                let secret = self.unseal(purpose, row.id, row.generation, sealed)?;
                *slot = Some(self.seal(purpose, row.id, row.generation, &secret)?);
            }
        }
        Ok(anew)
    }

    /// Stores a refresh's answer under `generation`, unless other tokens have been stored meanwhile; true where it is stored.
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

    /// Keeps a refresh's answer beside the row of its tokens, which is locked.
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

    /// Stores a grant that a user's own act brought, in place of whatever is there.
    pub fn store_grant(&self, account_id: i64, grant: &TokenGrant) -> Result<(), Failure> {
        // Locked before the number is drawn: of two that are stored the later one has the higher.
        token::lock_generation(account_id)?;
        let generation = token::next_generation()?;
        let sealed = self.seal_grant(account_id, generation, grant, None)?;
        token::replace(account_id, generation, sealed, &grant.scopes)
    }

    /// Says whose account it is; the id under which it goes on. Where the same person's account is known already that is
    /// that one's: it gets the tokens, if its own are of an earlier consent, and the nameless row goes.
    pub fn identify(&self, account_id: i64, user_id: &str, username: Option<&str>) -> Result<i64, Failure> {
        let Some(known) = account::known_beside(account_id, user_id)? else { return Ok(account_id) };
        let Some(known) = known else {
            account::identify(account_id, Some((user_id, username)))?;
            return Ok(account_id);
        };
        let theirs = token::lock_consent(known)?;
        if let Some(ours) = token::lock_consent(account_id)? {
            let sealed = token::get(account_id)?;
            if sealed.attempt_open {
                // Its answer would find no row to be stored in.
                return Err(Failure::new(Kind::Busy, "the account's tokens are being refreshed"));
            }
            if theirs.is_none_or(|theirs| theirs < ours) {
                let generation = token::next_generation()?;
                let anew = |purpose, bytes: &[u8]| {
                    let secret = self.unseal(purpose, account_id, sealed.generation, bytes)?;
                    self.seal(purpose, known, generation, &secret)
                };
                let access = anew(Purpose::AccessToken, &sealed.access_token)?;
                let refresh =
                    sealed.refresh_token.as_ref().map(|bytes| anew(Purpose::RefreshToken, bytes)).transpose()?;
                token::take_over(account_id, known, generation, (access, refresh))?;
                account::renew(account_id, known, username)?;
            }
        }
        account::merge(account_id, known)?;
        Ok(known)
    }
}

/// The account's tokens, sealed; refused where Pinterest does not accept them any more.
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

/// Opens sealed tokens in a worker. Where they were altered, or moved from another row, they are of no use to anybody: only
/// the user can help, unless newer ones have been stored since they were read. The inner failure is to be reported, what
/// was recorded with it committed.
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

/// A client secret that does not open is not the fault of the account it was wanted for.
fn of_app(failure: Failure) -> Failure {
    match failure.kind {
        Kind::SealBroken => Failure::new(Kind::NotReady, format!("the app's client secret: {failure}"))
            .with_hint("Register the app again with pinterest_register_app()."),
        _ => failure,
    }
}

/// The client secret that `pinterest.app_secret_file` has for a client id, for an app of that owner. Whether there is no
/// such line or it is not for this owner nobody learns.
pub fn secret_of_file(client_id: &str, owner: &Owner) -> Result<Secret, Failure> {
    let Some(path) = settings::app_secret_file() else {
        return Err(Failure::new(
            Kind::NotReady,
            "the app was registered without a client secret, and there is no file",
        )
        .with_hint("Set pinterest.app_secret_file, or register the app again with its secret."));
    };
    let found = pinterest::read_app_secret(&path, client_id).map_err(|error| {
        Failure::new(Kind::Config, error.to_string()).with_hint(
            "Each line holds a client id, its secret and the roles that may use it; the file is kept as safely as the key file.",
        )
    })?;
    match found {
        Some(line) if may_use(owner, &line.roles)? => Ok(line.secret),
        _ => Err(Failure::new(
            Kind::NotFound,
            format!("pinterest.app_secret_file has no secret of client id {client_id} for role \"{owner}\""),
        )
        .with_hint(
            "Add a line with the client id, its secret and the role; a line without roles is for roles of level admin.",
        )),
    }
}

/// May apps of this owner use a line for these roles? Those may that have the rights of one of them; where the line names
/// none, those that administer the extension.
fn may_use(owner: &Owner, roles: &[String]) -> Result<bool, Failure> {
    if !owner.is_role() {
        // Nobody uses the app any more: its tokens are kept fresh for whoever it is handed over to.
        return Ok(true);
    }
    if roles.is_empty() {
        return grants::is_admin(owner.role());
    }
    Ok(roles.iter().filter_map(|role| Owner::named(role)).any(|role| role.gives_rights_to(owner.role())))
}

/// A number in [0, 1).
pub fn unit_random() -> Result<f64, Failure> {
    Ok(f64::from(u32::from_ne_bytes(keys::random::<4>()?)) / (f64::from(u32::MAX) + 1.0))
}

/// How long a caller waits for a refresh that another process does.
pub const REFRESH_PATIENCE: Duration = Duration::from_secs(40);
