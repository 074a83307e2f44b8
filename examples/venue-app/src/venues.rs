//! Venues: those that match a board, those that are like one of them, and their photos.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{Html, IntoResponse};
use deadpool_postgres::Object;
use pgvector::Vector;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::users::User;
use crate::{App, Page, html, rows};

/// A venue and the pins that it resembles.
#[derive(Deserialize)]
pub struct Match {
    pub id: i64,
    pub name: String,
    pub kind: String,
    pub because: Vec<Pin>,
}

#[derive(Deserialize)]
pub struct Pin {
    pub title: Option<String>,
    pub link: Option<String>,
    pub image_url: Option<String>,
}

/// The venues that match a board, best first.
pub async fn recommended(database: &Object, account: i64, board: &str) -> Result<Vec<Match>> {
    let query = "SELECT v.id, v.name, v.kind, r.because
                   FROM pinterest_recommend($1, 'venues', k => 9, explain => true, account_id => $2) AS r
                   JOIN venues AS v ON v.id = r.key::bigint ORDER BY r.rank";
    rows(database, query, &[&board, &account]).await
}

/// The venues between a board and one venue: the vectors are added here, and pgvector finds those nearest to the sum.
pub async fn similar(
    State(app): State<App>,
    user: User,
    Path((board, venue)): Path<(String, i64)>,
) -> Result<Html<String>> {
    let database = app.database().await?;
    let query = "SELECT name, embedding, pinterest_board_embedding($1, account_id => $2) FROM venues
                  WHERE id = $3 AND embedding IS NOT NULL";
    let row = database.query_opt(query, &[&board, &user.account()?, &venue]).await?.ok_or(Error::Case("not found"))?;
    let (of_venue, of_board): (Vector, Vector) = (row.get(1), row.get(2));
    // Both have length 1. The cosine distance does not depend on the length of the sum.
    let sum: Vec<f32> = of_venue.as_slice().iter().zip(of_board.as_slice()).map(|(a, b)| a + b).collect();
    let query = "SELECT v.id, v.name, v.kind, COALESCE((SELECT json_agg(pin)
                          FROM pinterest_pins_like(v.embedding, 3, $3, $4) AS pin), '[]') AS because
                   FROM venues AS v WHERE v.id <> $2 AND v.embedding IS NOT NULL ORDER BY v.embedding <=> $1 LIMIT 9";
    let matches = rows(&database, query, &[&Vector::from(sum), &venue, &board, &user.account()?]).await?;
    html(&Page::Similar { user, board, name: row.get(0), matches })
}

pub async fn photo(State(app): State<App>, _user: User, Path(venue): Path<i64>) -> Result<impl IntoResponse> {
    let row = app.database().await?.query_opt("SELECT photo FROM venues WHERE id = $1", &[&venue]).await?;
    let photo: Vec<u8> = row.ok_or(Error::Case("not found"))?.get(0);
    Ok(([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "private, max-age=3600")], photo))
}
