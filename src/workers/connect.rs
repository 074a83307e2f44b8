//! Exchanging an authorization code: a worker does it, so that what Pinterest gives is stored whatever becomes of the
//! transaction that asked. The state is used up first, in a transaction of its own; the tokens are stored at once, in a row
//! that nobody else knows of yet; then Pinterest is asked whose they are, and where that person's account is known already
//! they go there.

use std::time::Duration;

use pinterest::{Client, ErrorKind, Secret};

use super::answers::{self, Answer, Stored, persistently};
use super::database::Context;
use super::refresh::{self, InHand};
use super::shutdown::Outstanding;
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::secrets::sealer::Sealer;
use crate::secrets::tokens;
use crate::store::app_access::Permission;
use crate::store::{account, app_access, oauth_state as states};

/// How long the caller waits for Pinterest to say whose the tokens are.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between questions whose the tokens are, while the caller waits.
const ASK_AGAIN: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];
/// How long the caller waits for what is locked.
const SETTLE_PATIENCE: Duration = Duration::from_secs(2);

/// What came back in a redirect.
pub struct Connection {
    /// The oid of the role that connects.
    pub owner: u32,
    /// SHA-256 of the state.
    pub state_hash: [u8; 32],
    /// The code.
    pub code: Secret,
}

/// The one text for a state that is malformed, unknown, another role's, used or expired.
pub fn unknown_state() -> Failure {
    Failure::new(Kind::BadAuthorization, "the state is unknown, used or expired")
}

/// Exchanges the code and stores the tokens; the account's id. Once this has begun it goes to its end, also where the
/// caller is gone.
pub async fn exchange(context: &Context, connection: Connection) -> Result<i64, Failure> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let context = context.clone();
    tokio::task::spawn_local(async move {
        let _held = InHand::hold(&context);
        // Whoever has gone does not wait for the answer.
        let _ = tell.send(to_the_end(&context, connection).await);
    });
    told.await.unwrap_or_else(|_| Err(Failure::new(Kind::BrokenOff, "the exchange of the code broke off")))
}

async fn to_the_end(context: &Context, connection: Connection) -> Result<i64, Failure> {
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
    let granted = match Client::new(context.config.borrow().endpoints.clone()) {
        Ok(client) => client.exchange_code(&credentials, &code).await.map(|grant| (client, grant)),
        Err(error) => Err(error),
    };
    drop(code);
    let (client, grant) = match granted {
        Ok(granted) => granted,
        Err(error) => {
            if error.kind() != ErrorKind::BadCode && !error.may_have_been_processed() {
                // The code is as good as before. Should this fail, the user has to consent again, as for a bad one.
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
    let held = InHand::hold(context);
    tokio::task::spawn_local(async move {
        let _held = held;
        let line = format!("the end of app {app_id}'s pause waits to be recorded");
        persistently(&resumed, &line, move || crate::store::app_breaker::resume(app_id)).await;
    });
    let asked = tokio::time::timeout(PATIENCE, ask(&client, &access_token, &ASK_AGAIN)).await;
    // Where it is still not known a worker asks again, see `chores`.
    let account_id = match asked.unwrap_or(Person::Unknown) {
        Person::Unknown | Person::Unsaid => account_id,
        Person::Refused(cause) => {
            // Should it fail, whoever asks next is told the same.
            let _ = context.database.run(move || app_access::refused(account_id, &cause)).await;
            account_id
        }
        person => {
            app_is_answered(context, account_id).await;
            name(context, account_id, person).await
        }
    };
    let mut settled = refresh::settle(context, account_id);
    let _ = tokio::time::timeout(SETTLE_PATIENCE, settled.wait_for(|settled| *settled)).await;
    Ok(account_id)
}

/// Whose tokens are.
enum Person {
    /// Pinterest's id and name of them.
    Known(String, Option<String>),
    /// Pinterest does not say it to this app, for want of a scope.
    Withheld,
    /// Pinterest does not answer the app at all, and says so.
    Refused(String),
    /// An answer without it, or a refusal that others than Pinterest may have sent.
    Unsaid,
    /// No good answer came.
    Unknown,
}

/// Asks whose tokens these are, with these pauses between the tries.
async fn ask(client: &Client, access_token: &Secret, pauses: &[Duration]) -> Person {
    let mut pauses = pauses.iter();
    loop {
        let answer = client.user_account(access_token).await;
        let person = match answer.map(|answer| (answer.value.id, answer.value.username)) {
            Ok((Some(id), username)) if !id.is_empty() => return Person::Known(id, username),
            Err(error) if error.kind() == ErrorKind::MissingScope => return Person::Withheld,
            Err(error) if error.kind() == ErrorKind::AppAccess => return Person::Refused(error.to_string()),
            Ok(_) => Person::Unsaid,
            Err(error) if is_no_answer_to_it(error.kind()) => Person::Unsaid,
            Err(_) => Person::Unknown,
        };
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return person,
        }
    }
}

/// Pinterest has answered the app, which may have waited for that.
async fn app_is_answered(context: &Context, account_id: i64) {
    // Should it fail, the next answer shows it too.
    if let Ok(true) = context.database.run(move || app_access::granted(account_id)).await {
        context.wake.notify_one();
    }
}

/// Does a refusal say nothing of whom the tokens belong to, and may say so for ever?
fn is_no_answer_to_it(kind: ErrorKind) -> bool {
    use ErrorKind::{Forbidden, NotPermitted, Restricted};
    matches!(kind, Forbidden | NotPermitted | Restricted)
}

/// Records whose an account is; the id under which it goes on. That is told also while a lock keeps it from being recorded.
async fn name(context: &Context, account_id: i64, person: Person) -> i64 {
    let (id, username) = match person {
        Person::Known(id, username) => (Some(id), username),
        Person::Withheld | Person::Refused(_) | Person::Unsaid | Person::Unknown => (None, None),
    };
    let user_id = id.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let (held, recorder) = (InHand::hold(context), context.clone());
    tokio::task::spawn_local(async move {
        let _held = held;
        let line = format!("account {account_id} waits for its name to be recorded");
        let recorded = persistently(&recorder, &line, move || match &id {
            Some(id) => Sealer::open()?.identify(account_id, id, username.as_deref()),
            None => account::identify(account_id, None).map(|()| account_id),
        });
        let _ = tell.send(recorded.await);
    });
    if let Ok(Ok(Some(recorded))) = tokio::time::timeout(SETTLE_PATIENCE, told).await {
        return recorded;
    }
    let Some(user_id) = user_id else { return account_id };
    let known = context.database.run(move || account::beside(account_id, &user_id)).await;
    known.ok().flatten().unwrap_or(account_id)
}

/// Asks once more whose an account is. One whose token has run out waits for its refresh.
pub async fn ask_again(context: &Context, account_id: i64) -> Result<(), Failure> {
    let load = move || {
        let sealed = tokens::usable(account_id)?;
        tokens::open_or_give_up(account_id, &sealed, |sealer| sealer.access_of(account_id, &sealed))
    };
    let Ok(access) = context.database.run(load).await? else { return Ok(()) };
    if access.expired {
        return Ok(());
    }
    // One account asks for all of an app that was refused.
    if context.database.run(move || app_access::ask(account_id)).await? == Permission::Closed {
        return Ok(());
    }
    let client = Client::new(context.config.borrow().endpoints.clone())?;
    let person = ask(&client, &access.token, &[]).await;
    match &person {
        Person::Refused(cause) => {
            let cause = cause.clone();
            context.database.run(move || app_access::refused(account_id, &cause)).await?;
            return Ok(());
        }
        Person::Unknown | Person::Unsaid => context.database.run(move || app_access::give_back(account_id)).await?,
        Person::Known(..) | Person::Withheld => app_is_answered(context, account_id).await,
    }
    match person {
        Person::Unknown | Person::Refused(_) => {}
        // Its imports have waited long enough.
        Person::Unsaid if !context.database.run(move || account::is_older_than_a_day(account_id)).await? => {}
        person => drop(name(context, account_id, person).await),
    }
    Ok(())
}
