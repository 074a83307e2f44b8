//! Users of this site: sign-up, sign-in, sessions.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::Form;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::{App, Page, html};

/// Hashes that are computed at the same time: each takes 19 MiB and many milliseconds.
static HASHING: Semaphore = Semaphore::const_new(2);

/// The user of a request. A request without one is redirected to the sign-in page.
pub struct User {
    pub id: i64,
    pub name: String,
    /// Their account in pinterest.accounts.
    pub account: Option<i64>,
    /// Key of the session's row: SHA-256 of the cookie's token.
    pub session: Vec<u8>,
}

impl FromRequestParts<App> for User {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let jar = CookieJar::from_headers(&parts.headers);
        let session = digest(jar.get(cookie_name(app)).ok_or(Error::Elsewhere("/sign-in"))?.value());
        let query = "SELECT user_id, name, account_id FROM sessions JOIN users USING (user_id)
                       LEFT JOIN connections USING (user_id) WHERE token_sha256 = $1 AND expires_at > now()";
        let row = app.database().await?.query_opt(query, &[&session]).await?.ok_or(Error::Elsewhere("/sign-in"))?;
        Ok(User { id: row.get(0), name: row.get(1), account: row.get(2), session })
    }
}

impl User {
    /// The account for every query about Pinterest. It is never taken from a request.
    pub fn account(&self) -> Result<i64> {
        self.account.ok_or(Error::Elsewhere("/"))
    }
}

#[derive(Deserialize)]
pub struct Credentials {
    name: String,
    password: String,
}

pub async fn sign_in_page() -> Result<Html<String>> {
    html(&Page::SignIn { problem: "" })
}

fn refused(problem: &'static str) -> Result<Response> {
    Ok(html(&Page::SignIn { problem })?.into_response())
}

pub async fn sign_in(State(app): State<App>, jar: CookieJar, Form(given): Form<Credentials>) -> Result<Response> {
    let name = given.name.trim();
    let row = app.database().await?.query_opt("SELECT user_id, password FROM users WHERE name = $1", &[&name]).await?;
    let known: Option<(i64, String)> = row.map(|row| (row.get(0), row.get(1)));
    // For an unknown name too, so that the time does not reveal which names exist.
    let expected = known.as_ref().map(|(_, hash)| hash.clone());
    let matches = hashing(move || match expected {
        Some(hash) => PasswordHash::new(&hash)
            .is_ok_and(|hash| Argon2::default().verify_password(given.password.as_bytes(), &hash).is_ok()),
        None => Argon2::default().hash_password(given.password.as_bytes()).is_err(),
    });
    match (matches.await?, known) {
        (true, Some((user_id, _))) => begin_session(&app, jar, user_id).await,
        _ => refused("This name and password do not belong together."),
    }
}

pub async fn sign_up(State(app): State<App>, jar: CookieJar, Form(given): Form<Credentials>) -> Result<Response> {
    let name = given.name.trim().to_owned();
    if name.is_empty() || name.len() > 100 || given.password.chars().count() < 10 {
        return refused("Choose a name, and a password of at least ten characters.");
    }
    let hash = hashing(move || Argon2::default().hash_password(given.password.as_bytes()).map(|hash| hash.to_string()));
    let insert = "INSERT INTO users (name, password) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING user_id";
    match app.database().await?.query_opt(insert, &[&name, &hash.await??]).await? {
        Some(row) => begin_session(&app, jar, row.get(0)).await,
        None => refused("This name is taken."),
    }
}

pub async fn sign_out(State(app): State<App>, user: User, jar: CookieJar) -> Result<impl IntoResponse> {
    app.database().await?.execute("DELETE FROM sessions WHERE token_sha256 = $1", &[&user.session]).await?;
    Ok((jar.remove(cookie(&app, String::new())), Redirect::to("/sign-in")))
}

async fn begin_session(app: &App, jar: CookieJar, user_id: i64) -> Result<Response> {
    let mut token = [0; 32];
    getrandom::fill(&mut token)?;
    let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    let insert = "WITH old AS (DELETE FROM sessions WHERE expires_at < now())
                  INSERT INTO sessions (token_sha256, user_id) VALUES ($1, $2)";
    app.database().await?.execute(insert, &[&digest(&token), &user_id]).await?;
    Ok((jar.add(cookie(app, token)), Redirect::to("/")).into_response())
}

/// Not readable by scripts, and not sent with posts of other sites. Lax, not Strict: the browser must send it when
/// Pinterest redirects to the callback.
fn cookie(app: &App, token: String) -> Cookie<'static> {
    let secure = app.origin.starts_with("https:");
    Cookie::build((cookie_name(app), token)).path("/").http_only(true).same_site(SameSite::Lax).secure(secure).build()
}

/// No other host can set a cookie whose name begins with `__Host-`; it requires https.
fn cookie_name(app: &App) -> &'static str {
    if app.origin.starts_with("https:") { "__Host-session" } else { "session" }
}

fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

/// Runs a computation of a password's hash on another thread.
async fn hashing<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _permit = HASHING.acquire().await?;
    Ok(tokio::task::spawn_blocking(compute).await?)
}
