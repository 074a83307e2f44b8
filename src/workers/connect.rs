//! Exchanging an authorization code. A worker does it, so that the tokens are stored even if the session's transaction is
//! rolled back. First the state is consumed, in a transaction of its own. The tokens are stored at once, in new rows. Then
//! Pinterest is asked whose they are; if that user has an account already, they move there.

use std::time::Duration;

use pinterest::{Client, ErrorKind, Secret};

use super::answers::{self, Answer, Stored, persistently};
use super::context::Context;
use super::log::About;
use super::refresh;
use super::shutdown::Outstanding;
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::secrets::sealer::Sealer;
use crate::secrets::tokens;
use crate::statistics;
use crate::store::app_access::Permission;
use crate::store::{account, app_access, oauth_state as states};

/// How long the caller waits for Pinterest's answer whose the tokens are.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between these requests, while the caller waits.
const PAUSES: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];
/// How long the caller waits for locks.
const SETTLE_PATIENCE: Duration = Duration::from_secs(2);

/// The parameters of a redirect.
pub struct Connection {
    /// The oid of the role that connects.
    pub owner: u32,
    /// SHA-256 of the state.
    pub state_hash: [u8; 32],
    /// The code.
    pub code: Secret,
}

/// The same message for a state that is malformed, unknown, another role's, used or expired.
pub fn unknown_state() -> Failure {
    Failure::new(Kind::BadAuthorization, "the state is unknown, used or expired")
}

/// Exchanges the code and stores the tokens; the account's id. Once begun it is completed, even if the caller ends.
///
/// # Errors
/// [`unknown_state`], Pinterest's refusals, and failures on this server.
pub async fn exchange(context: &Context, connection: Connection) -> Result<i64, Failure> {
    let (sender, result) = tokio::sync::oneshot::channel();
    let context = context.clone();
    tokio::task::spawn_local(async move {
        let _held = context.in_hand.hold();
        // Fails if the caller has ended.
        let _ = sender.send(complete(&context, connection).await);
    });
    result.await.unwrap_or_else(|_| Err(Failure::new(Kind::BrokenOff, "the exchange of the code was interrupted")))
}

async fn complete(context: &Context, connection: Connection) -> Result<i64, Failure> {
    let outstanding = Outstanding::new();
    let Connection { owner, state_hash, code } = connection;
    let begun = context.database.run(move || {
        let owner = Owner::of_role(owner.into()).ok_or_else(unknown_state)?;
        let authorization = states::consume(&state_hash, &owner)?.ok_or_else(unknown_state)?;
        let mut credentials = Sealer::open()?.credentials(authorization.app_id)?;
        credentials.redirect_uri.clone_from(&authorization.redirect_uri);
        Ok((owner, authorization, credentials))
    });
    let (owner, authorization, credentials) = begun.await?;
    let granted = match statistics::requests::client(context.config.borrow().endpoints.clone()) {
        Ok(client) => client.exchange_code(&credentials, &code).await.map(|grant| (client, grant)),
        Err(error) => Err(error),
    };
    drop(code);
    let (client, grant) = match granted {
        Ok(granted) => granted,
        Err(error) => {
            if error.kind() != ErrorKind::BadCode && !error.may_have_been_processed() {
                // The code can be used again. If this fails, the user has to consent again, as after a bad code.
                let _ = context.database.run(move || states::give_back(&state_hash, &owner, &authorization)).await;
            }
            return Err(error.into());
        }
    };
    let access_token = grant.access_token.clone();
    let answer = Answer::Connection { owner, app_id: authorization.app_id, requested: authorization.scopes, grant };
    let Some(Stored::For(account_id)) = answers::store(context, answer).await else {
        return Err(Failure::new(Kind::NotReady, "the extension was dropped while the code was exchanged"));
    };
    drop(outstanding);
    let app_id = authorization.app_id;
    let resumed = context.clone();
    let held = context.in_hand.hold();
    tokio::task::spawn_local(async move {
        let _held = held;
        let line = "could not record the end of the app's pause, retrying";
        persistently(&resumed, About::App(app_id), line, move || crate::store::app_breaker::resume(app_id)).await;
    });
    let asked = tokio::time::timeout(PATIENCE, ask(&client, &access_token, &PAUSES)).await;
    // While it is unknown a worker asks again, see `housekeeping`.
    let account_id = match asked.unwrap_or(User::NoAnswer) {
        User::NoAnswer | User::NotNamed => account_id,
        User::AppRefused(cause) => {
            // If it fails, the next request has the same result.
            let _ = context.database.run(move || app_access::refused(account_id, &cause)).await;
            account_id
        }
        user => {
            app_is_answered(context, account_id).await;
            name(context, account_id, user).await
        }
    };
    let mut settled = refresh::settle(context, account_id);
    let _ = tokio::time::timeout(SETTLE_PATIENCE, settled.wait_for(Option::is_some)).await;
    Ok(account_id)
}

/// Whose tokens are.
enum User {
    /// Pinterest's id and name of the user.
    Known(String, Option<String>),
    /// A scope is missing for this request.
    MissingScope,
    /// Pinterest refuses the app's access.
    AppRefused(String),
    /// An answer without the user, or a refusal that may come from a proxy.
    NotNamed,
    /// No usable answer.
    NoAnswer,
}

/// Asks Pinterest whose tokens these are, with these pauses between the tries.
async fn ask(client: &Client, access_token: &Secret, pauses: &[Duration]) -> User {
    let mut pauses = pauses.iter();
    loop {
        let answer = client.user_account(access_token).await;
        let user = match answer.map(|answer| (answer.value.id, answer.value.username)) {
            Ok((Some(id), username)) if !id.is_empty() => return User::Known(id, username),
            Err(error) if error.kind() == ErrorKind::MissingScope => return User::MissingScope,
            Err(error) if error.kind() == ErrorKind::AppAccess => return User::AppRefused(error.to_string()),
            Ok(_) => User::NotNamed,
            Err(error) if may_be_permanent(error.kind()) => User::NotNamed,
            Err(_) => User::NoAnswer,
        };
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return user,
        }
    }
}

/// Records that Pinterest answers the app, whose imports may have waited for that.
async fn app_is_answered(context: &Context, account_id: i64) {
    // If it fails, the next answer has the same effect.
    if let Ok(true) = context.database.run(move || app_access::granted(account_id)).await {
        context.wake.notify_one();
    }
}

/// Is it a refusal that does not depend on the tokens and may be permanent?
fn may_be_permanent(kind: ErrorKind) -> bool {
    use ErrorKind::{Forbidden, NotPermitted, Restricted};
    matches!(kind, Forbidden | NotPermitted | Restricted)
}

/// Records whose an account is; its id, which is another one if the user has an account already. The id is correct even if a
/// lock delays the recording.
async fn name(context: &Context, account_id: i64, user: User) -> i64 {
    let (id, username) = match user {
        User::Known(id, username) => (Some(id), username),
        User::MissingScope | User::AppRefused(_) | User::NotNamed | User::NoAnswer => (None, None),
    };
    let user_id = id.clone();
    let (sender, result) = tokio::sync::oneshot::channel();
    let (held, recorder) = (context.in_hand.hold(), context.clone());
    tokio::task::spawn_local(async move {
        let _held = held;
        let line = "could not record the account's user, retrying";
        let recorded = persistently(&recorder, About::Account(account_id), line, move || match &id {
            Some(id) => Sealer::open()?.identify(account_id, id, username.as_deref()),
            None => account::identify(account_id, None).map(|()| account_id),
        });
        let _ = sender.send(recorded.await);
    });
    if let Ok(Ok(Some(recorded))) = tokio::time::timeout(SETTLE_PATIENCE, result).await {
        return recorded;
    }
    let Some(user_id) = user_id else { return account_id };
    let known = context.database.run(move || account::beside(account_id, &user_id)).await;
    known.ok().flatten().unwrap_or(account_id)
}

/// Asks again whose an account is. If its token has expired, this waits for the refresh.
///
/// # Errors
/// Failures on this server; if Pinterest does not answer, that is not an error.
pub async fn ask_again(context: &Context, account_id: i64) -> Result<(), Failure> {
    let load = move || {
        let sealed = tokens::usable(account_id)?;
        tokens::open_or_give_up(account_id, &sealed, |sealer| sealer.access_of(account_id, &sealed))
    };
    let Ok(access) = context.database.run(load).await? else { return Ok(()) };
    if access.expired {
        return Ok(());
    }
    // If the app was refused, one account asks for all.
    if context.database.run(move || app_access::ask(account_id)).await? == Permission::Closed {
        return Ok(());
    }
    let client = statistics::requests::client(context.config.borrow().endpoints.clone())?;
    let user = ask(&client, &access.token, &[]).await;
    match &user {
        User::AppRefused(cause) => {
            let cause = cause.clone();
            context.database.run(move || app_access::refused(account_id, &cause)).await?;
            return Ok(());
        }
        User::NoAnswer | User::NotNamed => context.database.run(move || app_access::give_back(account_id)).await?,
        User::Known(..) | User::MissingScope => app_is_answered(context, account_id).await,
    }
    match user {
        User::NoAnswer | User::AppRefused(_) => {}
        // After a day the account is used without a name, so that its imports do not wait longer.
        User::NotNamed if !context.database.run(move || account::is_older_than_a_day(account_id)).await? => {}
        user => drop(name(context, account_id, user).await),
    }
    Ok(())
}
