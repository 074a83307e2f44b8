//! Pinterest: connecting an account, boards, imports and their progress, disconnecting.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect};
use deadpool_postgres::Object;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::error::{Error, Explanation, Result, explain};
use crate::users::User;
use crate::venues::{Match, recommended};
use crate::{App, Page, html, rows};

/// How often the counts of a running import are read for an open page.
const INTERVAL: Duration = Duration::from_millis(400);

/// The fields of a form, or the parameters of a query.
type Fields = HashMap<String, String>;

/// Begins an authorization. Its state is kept in the session of this browser.
pub async fn connect(State(app): State<App>, user: User, Form(wishes): Form<Fields>) -> Result<Redirect> {
    let database = app.database().await?;
    let query = "SELECT pinterest_authorize_url('venues', secret_boards => $1)";
    let url: String = database.query_one(query, &[&wishes.contains_key("secret_boards")]).await?.get(0);
    let state = url.split(['?', '&']).find_map(|parameter| parameter.strip_prefix("state="));
    let update = "UPDATE sessions SET pinterest_state = $2 WHERE token_sha256 = $1";
    database.execute(update, &[&user.session, &state]).await?;
    Ok(Redirect::to(&url))
}

/// Pinterest's redirect. Somebody can send a link with their own code to another person; with it, that person would use
/// the sender's Pinterest account. Therefore the state must be the one in this browser's session. It is used up here.
pub async fn callback(State(app): State<App>, user: User, Query(answer): Query<Fields>) -> Result<Redirect> {
    let (state, mut database) = (answer.get("state"), app.database().await?);
    let spend = "UPDATE sessions SET pinterest_state = NULL WHERE token_sha256 = $1 AND pinterest_state = $2";
    if database.execute(spend, &[&user.session, &state]).await? != 1 {
        return Err(Error::Case("foreign state"));
    }
    let code = answer.get("code").ok_or(Error::Case("declined"))?;
    let account: i64 = database.query_one("SELECT pinterest_connect($1, $2)", &[&code, &state]).await?.get(0);
    // The same Pinterest user has the same account. If it belongs to another user of this site, that stays so.
    let transaction = database.transaction().await?;
    let insert = "INSERT INTO connections (user_id, account_id) VALUES ($1, $2)
                  ON CONFLICT (user_id) DO UPDATE SET account_id = EXCLUDED.account_id";
    transaction.execute(insert, &[&user.id, &account]).await?;
    if let Some(old) = user.account.filter(|old| *old != account) {
        transaction.execute("SELECT pinterest_disconnect($1, purge => true)", &[&old]).await?;
    }
    transaction.commit().await?;
    Ok(Redirect::to("/"))
}

/// Deletes the tokens and all that was imported through the account.
pub async fn disconnect(State(app): State<App>, user: User) -> Result<Html<String>> {
    let mut database = app.database().await?;
    let transaction = database.transaction().await?;
    let call = "SELECT boards, pins, images FROM pinterest_disconnect($1, purge => true)";
    let row = transaction.query_one(call, &[&user.account()?]).await?;
    transaction.execute("DELETE FROM connections WHERE user_id = $1", &[&user.id]).await?;
    transaction.commit().await?;
    html(&Page::Connect { user, deleted: Some([row.get(0), row.get(1), row.get(2)]) })
}

/// A board in the list.
#[derive(Deserialize)]
pub struct Listed {
    pub board_id: String,
    pub name: String,
    pub pin_count: Option<i32>,
    pub privacy: Option<String>,
    /// State of its last import.
    pub state: Option<String>,
    /// Addresses of some of its images.
    pub images: Vec<String>,
}

/// The user's boards, or the invitation to connect an account.
pub async fn home(State(app): State<App>, user: User) -> Result<Html<String>> {
    let Some(account) = user.account else { return html(&Page::Connect { user, deleted: None }) };
    let query = "SELECT b.board_id, b.name, b.pin_count, b.privacy, i.state, ARRAY(
                            SELECT image.candidates -> 0 ->> 'url'
                              FROM pinterest.pin JOIN pinterest.pin_image AS image USING (account_id, pin_id)
                             WHERE account_id = $1 AND board_id = b.board_id AND image.state = 'embedded' LIMIT 3) AS images
                   FROM pinterest_list_boards($1) AS b
                   LEFT JOIN LATERAL (SELECT state FROM pinterest.imports
                      WHERE account_id = $1 AND board_id = b.board_id ORDER BY import_id DESC LIMIT 1) AS i ON true
                  ORDER BY i.state IS NULL, lower(b.name)";
    let boards = rows(&app.database().await?, query, &[&account]).await?;
    html(&Page::Boards { user, boards })
}

/// The last import of a board.
#[derive(Deserialize, PartialEq, Serialize)]
struct Import {
    state: String,
    /// What is being done.
    sentence: String,
    pins: i32,
    images: i32,
    done: i32,
    /// From 0 to 1.
    share: f64,
    error_code: Option<String>,
}

impl Import {
    async fn last(database: &Object, account: i64, board: &str) -> Result<Option<Self>> {
        let query = "SELECT state, pins_listed AS pins, images_total AS images, images_total - images_pending AS done,
                            progress AS share, error_code, CASE
                                WHEN state = 'waiting_quota' THEN 'Pinterest asks us to wait; we continue by ourselves'
                                WHEN state = 'waiting_access' THEN 'Waiting until Pinterest gives this site access'
                                WHEN state = 'queued' THEN 'Waiting for its turn'
                                WHEN phase = 'images' THEN 'Looking at the images'
                                ELSE 'Reading the list of pins' END AS sentence
                       FROM pinterest.imports WHERE account_id = $1 AND board_id = $2 ORDER BY import_id DESC LIMIT 1";
        Ok(rows(database, query, &[&account, &board]).await?.pop())
    }

    /// Whether it changes only if the user does something.
    fn has_ended(&self) -> bool {
        ["completed", "failed", "cancelled", "needs_reauth"].contains(&self.state.as_str())
    }

    /// Why it has not completed.
    fn problem(&self) -> Explanation {
        explain(if self.state == "needs_reauth" { "28000" } else { self.error_code.as_deref().unwrap_or("57014") })
    }
}

/// The page of a board. Its block `content` is also sent to an open page when the import has ended.
#[derive(Template)]
#[template(path = "board.html", blocks = ["content"])]
struct Board {
    user: User,
    board: String,
    name: String,
    pins: i32,
    import: Option<Import>,
    matches: Vec<Match>,
}

impl Board {
    async fn load(app: &App, user: User, board: String) -> Result<Self> {
        let (account, database) = (user.account()?, app.database().await?);
        let query = "SELECT name, COALESCE(pin_count, 0) FROM pinterest.board WHERE account_id = $1 AND board_id = $2";
        let row = database.query_opt(query, &[&account, &board]).await?.ok_or(Error::Case("not found"))?;
        let import = Import::last(&database, account, &board).await?;
        let completed = import.as_ref().is_some_and(|import| import.state == "completed" && import.images > 0);
        let matches = if completed { recommended(&database, account, &board).await? } else { Vec::new() };
        Ok(Board { user, board, name: row.get(0), pins: row.get(1), import, matches })
    }
}

pub async fn board(State(app): State<App>, user: User, Path(board): Path<String>) -> Result<Html<String>> {
    html(&Board::load(&app, user, board).await?)
}

pub async fn import(State(app): State<App>, user: User, Path(board): Path<String>) -> Result<Redirect> {
    // A board of the user's, and nothing else that the function would accept.
    let call = "SELECT pinterest_import_board(board_id, account_id) FROM pinterest.board WHERE account_id = $1 AND board_id = $2";
    app.database().await?.query_opt(call, &[&user.account()?, &board]).await?.ok_or(Error::Case("not found"))?;
    Ok(Redirect::to(&format!("/boards/{board}")))
}

/// The progress of the last import as server-sent events: `progress` when the counts have changed, and at last `end` with
/// the new content of the page. A connection to the database is held only while a query runs.
pub async fn events(State(app): State<App>, user: User, Path(board): Path<String>) -> impl IntoResponse {
    let stream = unfold(Some((user, None)), move |state| {
        let (app, board) = (app.clone(), board.clone());
        async move {
            let (user, last) = state?;
            let account = user.account?;
            loop {
                // After an error the stream ends, and the browser connects again.
                let import = Import::last(&app.database().await.ok()?, account, &board).await.ok()??;
                if import.has_ended() {
                    let page = Board::load(&app, user, board).await;
                    let html =
                        page.and_then(|page| Ok(page.as_content().render()?)).unwrap_or_else(|error| error.content());
                    return Some((Ok::<_, Infallible>(Event::default().event("end").data(html)), None));
                }
                if last.as_ref() != Some(&import) {
                    let event = Event::default().event("progress").data(serde_json::to_string(&import).ok()?);
                    return Some((Ok(event), Some((user, Some(import)))));
                }
                sleep(INTERVAL).await;
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
