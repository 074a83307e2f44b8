//! A web application that recommends venues by the Pinterest boards of its users. ../README.md explains how to run it.
//!
//! All that concerns Pinterest is SQL, so this is an ordinary application of axum and tokio-postgres. `users` signs
//! people in, `pinterest` connects their accounts and imports boards, `venues` recommends, and `error` explains errors by
//! their SQLSTATE. The pages are in ../templates.

mod error;
mod pinterest;
mod users;
mod venues;

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use deadpool_postgres::{Manager, Object, Pool, Runtime};
use serde::de::DeserializeOwned;
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;

use error::{Error, Result};
use pinterest::Listed;
use users::User;
use venues::Match;

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    pub pool: Pool,
    /// The address of this site as browsers know it, such as `https://venues.example`.
    pub origin: Arc<str>,
}

impl App {
    pub async fn database(&self) -> Result<Object> {
        Ok(self.pool.get().await?)
    }
}

/// The parameters of a query.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The rows of a query, as JSON that fills a struct.
pub async fn rows<T: DeserializeOwned>(database: &Object, query: &str, values: Values<'_>) -> Result<Vec<T>> {
    let rows = database.query(&format!("SELECT row_to_json(r)::text FROM ({query}) AS r"), values).await?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.get(0))?)).collect()
}

/// The pages that only show what they contain.
#[derive(Template)]
pub enum Page {
    #[template(path = "sign_in.html")]
    SignIn { problem: &'static str },
    /// `deleted` has the numbers of boards, pins and images, after disconnecting.
    #[template(path = "connect.html")]
    Connect { user: User, deleted: Option<[i64; 3]> },
    #[template(path = "boards.html")]
    Boards { user: User, boards: Vec<Listed> },
    #[template(path = "similar.html")]
    Similar { user: User, board: String, name: String, matches: Vec<Match> },
}

/// A page as the response.
pub fn html(template: &impl Template) -> Result<Html<String>> {
    Ok(Html(template.render()?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let variable = |name: &str| env::var(name).with_context(|| format!("the environment has no {name}"));
    let address = env::var("LISTEN").unwrap_or("127.0.0.1:8085".into());
    let origin = env::var("ORIGIN").unwrap_or(format!("http://{}", address.replace("127.0.0.1", "localhost")));
    // By a Unix socket or on the same machine. For a remote server, use tokio-postgres-rustls in place of NoTls.
    let config: tokio_postgres::Config = variable("DATABASE_URL")?.parse().context("DATABASE_URL")?;
    let manager = Manager::new(config, NoTls);
    let pool = Pool::builder(manager).wait_timeout(Some(Duration::from_secs(10))).runtime(Runtime::Tokio1).build()?;

    // The same call registers and updates. Without a secret here, the server reads it from pinterest.app_secret_file,
    // and no statement contains it.
    let secret = env::var("PINTEREST_CLIENT_SECRET").ok();
    let (id, callback) = (variable("PINTEREST_CLIENT_ID")?, format!("{origin}/pinterest/callback"));
    let register = "SELECT pinterest_register_app('venues', $1, $2, $3)";
    pool.get().await?.query(register, &[&id, &secret, &callback]).await.context(register)?;

    let app = App { pool, origin: origin.into() };
    let router = Router::new()
        .route("/", get(pinterest::home))
        .route("/sign-in", get(users::sign_in_page).post(users::sign_in))
        .route("/sign-up", post(users::sign_up))
        .route("/sign-out", post(users::sign_out))
        .route("/pinterest/connect", post(pinterest::connect))
        .route("/pinterest/callback", get(pinterest::callback))
        .route("/pinterest/disconnect", post(pinterest::disconnect))
        .route("/boards/{board}", get(pinterest::board))
        .route("/boards/{board}/import", post(pinterest::import))
        .route("/boards/{board}/events", get(pinterest::events))
        .route("/boards/{board}/like/{venue}", get(venues::similar))
        .route("/venues/{venue}/photo", get(venues::photo))
        .route("/style.css", get(([(header::CONTENT_TYPE, "text/css")], include_str!("../static/style.css"))))
        .route("/app.js", get(([(header::CONTENT_TYPE, "text/javascript")], include_str!("../static/app.js"))))
        .fallback(|| async { Error::Case("not found") })
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app.clone());
    let listener = tokio::net::TcpListener::bind(&address).await.context(address)?;
    println!("{}", app.origin);
    // All state is in the database, so the process can be ended at any moment.
    Ok(axum::serve(listener, router).await?)
}

/// Images are Pinterest's. Chromium applies form-action also to the redirect to Pinterest.
#[rustfmt::skip]
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
        img-src 'self' https: data:; form-action 'self' https:; frame-ancestors 'none'; base-uri 'none'"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Refuses requests of other sites that would change something, sets headers, and logs. The query is not logged: it may
/// contain a code and a state.
async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (method, path, began) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
    let allowed = method.is_safe() || is_of_this_site(request.headers(), &app.origin);
    let mut response = if allowed { next.run(request).await } else { Error::Case("other site").into_response() };
    eprintln!("{method} {path} {} {:?}", response.status().as_u16(), began.elapsed());
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Browsers state where a request comes from, and no page can change that. This is the protection from forged requests;
/// SameSite of the cookie alone allows those of other ports and subdomains.
fn is_of_this_site(headers: &HeaderMap, origin: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers.get(header::ORIGIN).is_some_and(|value| value == origin),
    }
}
