//! Rows of a user's table that suit boards: the best match over the boards' themes, none too like another, and why.

mod because;
mod columns;
mod pool;
mod served;
mod tastes;

use pgrx::JsonB;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

pub use because::pin_page;

use super::label_embeddings::{named, texts};
use super::{none_long, not_empty};
use crate::api::given;
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::regclass::Regclass;
use crate::store::{track, user_table};
use columns::Columns;
use served::Served;
use tastes::Tastes;

/// More than anybody reads; the candidates of every theme are held in memory.
const MOST_PICKS: i32 = 1000;

/// What [`pinterest_recommend`] was asked for.
struct Wish<'a> {
    boards: Vec<Option<String>>,
    table: pg_sys::Oid,
    k: i32,
    diversity: f64,
    only: Option<&'a str>,
    explain: bool,
    not_boards: Option<Vec<Option<String>>>,
    key: Option<&'a str>,
    embedding: Option<&'a str>,
    account_id: Option<i64>,
    contrasts: Option<Vec<Option<String>>>,
    all_themes: bool,
    skip_ai: bool,
}

/// A recommended row: rank, key, score, distance, theme, because.
type Recommended = (i32, String, f64, f64, i32, Option<JsonB>);

// What \df shows is what the benchmark found best.
const _: () = assert!(taste::DEFAULT_DIVERSITY == 0.3);

/// The rows of a table that suit a board.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::type_complexity, clippy::too_many_arguments)] // Columns and arguments of an SQL function.
fn pinterest_recommend(
    board: Option<&str>,
    table: Option<Regclass>,
    k: default!(Option<i32>, "10"),
    diversity: default!(Option<f64>, "0.3"),
    only: default!(Option<&str>, "NULL"),
    explain: default!(Option<bool>, "false"),
    not_boards: default!(Option<Array<'_, &str>>, "NULL"),
    key: default!(Option<&str>, "NULL"),
    embedding: default!(Option<&str>, "NULL"),
    account_id: default!(Option<i64>, "NULL"),
    contrasts: default!(Option<Array<'_, &str>>, "NULL"),
    all_themes: default!(Option<bool>, "false"),
    skip_ai: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(rank, i32),
            name!(key, String),
            name!(score, f64),
            name!(distance, f64),
            name!(theme, i32),
            name!(because, Option<JsonB>),
        ),
    >,
    ErrorReport,
> {
    let board = given(board, "board")?;
    let table = given(table, "table")?;
    let k = given(k, "k")?;
    let diversity = given(diversity, "diversity")?;
    let explain = given(explain, "explain")?;
    let all_themes = given(all_themes, "all_themes")?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let boards = vec![Some(not_empty(board, "board")?.to_owned())];
    let table = table.0;
    let not_boards = not_boards.map(|boards| texts(boards, "not_boards")).transpose()?;
    let contrasts = contrasts.map(|contrasts| texts(contrasts, "contrasts")).transpose()?;
    let wish = Wish {
        boards,
        table,
        k,
        diversity,
        only,
        explain,
        not_boards,
        key,
        embedding,
        account_id,
        contrasts,
        all_themes,
        skip_ai,
    };
    Ok(TableIterator::new(recommend(wish)?))
}

/// The rows of a table that suit several boards, of one account or more.
#[pg_extern(name = "pinterest_recommend", stable, parallel_restricted)]
#[allow(clippy::type_complexity, clippy::too_many_arguments)] // Columns and arguments of an SQL function.
fn pinterest_recommend_boards(
    boards: Option<Array<'_, &str>>,
    table: Option<Regclass>,
    k: default!(Option<i32>, "10"),
    diversity: default!(Option<f64>, "0.3"),
    only: default!(Option<&str>, "NULL"),
    explain: default!(Option<bool>, "false"),
    not_boards: default!(Option<Array<'_, &str>>, "NULL"),
    key: default!(Option<&str>, "NULL"),
    embedding: default!(Option<&str>, "NULL"),
    account_id: default!(Option<i64>, "NULL"),
    contrasts: default!(Option<Array<'_, &str>>, "NULL"),
    all_themes: default!(Option<bool>, "false"),
    skip_ai: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(rank, i32),
            name!(key, String),
            name!(score, f64),
            name!(distance, f64),
            name!(theme, i32),
            name!(because, Option<JsonB>),
        ),
    >,
    ErrorReport,
> {
    let boards = given(boards, "boards")?;
    let table = given(table, "table")?;
    let k = given(k, "k")?;
    let diversity = given(diversity, "diversity")?;
    let explain = given(explain, "explain")?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let all_themes = given(all_themes, "all_themes")?;
    let (boards, table) = (texts(boards, "boards")?, table.0);
    let not_boards = not_boards.map(|boards| texts(boards, "not_boards")).transpose()?;
    let contrasts = contrasts.map(|contrasts| texts(contrasts, "contrasts")).transpose()?;
    let wish = Wish {
        boards,
        table,
        k,
        diversity,
        only,
        explain,
        not_boards,
        key,
        embedding,
        account_id,
        contrasts,
        all_themes,
        skip_ai,
    };
    Ok(TableIterator::new(recommend(wish)?))
}

fn recommend(wish: Wish<'_>) -> Result<Vec<Recommended>, Failure> {
    let k = match usize::try_from(wish.k) {
        Ok(k) if (1..=MOST_PICKS).contains(&wish.k) => k,
        _ => return Err(bad(format!("k must be from 1 to {MOST_PICKS}, not {}", wish.k))),
    };
    if !(0.0..=1.0).contains(&wish.diversity) {
        return Err(bad(format!("diversity must be from 0 to 1, not {}", wish.diversity)));
    }
    none_long(&[("only", wish.only), ("key", wish.key), ("embedding", wish.embedding)])?;
    let described = user_table::describe(wish.table)?;
    let columns = Columns::choose(&described, wish.key, wish.embedding)?;
    let tastes = Tastes::of(
        &named(wish.boards, "board")?,
        &named(wish.not_boards.unwrap_or_default(), "not_boards")?,
        wish.only,
        wish.contrasts,
        wish.account_id,
        wish.skip_ai,
    )?;
    let pool = pool::gather(&columns.search()?, &tastes.taste, k)?;
    // After the statement above: who may not read the table has been refused by the server.
    let models = as_worker(|| track::queue::models_of(wish.table, &columns.embedding.name))?;
    tastes.check_models(&models, &described.quoted)?;
    // What the caller says by a text goes before what the table says.
    let served = if wish.all_themes || wish.only.is_some() {
        Served::all(tastes.taste.clone())
    } else {
        Served::by(&tastes, &pool, &described.quoted, wish.explain)
    };
    let picks = taste::recommend(&served.taste, &pool.vectors, k, wish.diversity, &mut super::board_images::check);
    let reasons = if wish.explain { because::of(&tastes, &pool, &picks)? } else { Vec::new() };
    let mut reasons = reasons.into_iter();
    Ok(picks
        .iter()
        .enumerate()
        .map(|(place, pick)| {
            let theme = i32::try_from(served.numbers[pick.theme]).unwrap_or(i32::MAX);
            let rank = i32::try_from(place + 1).unwrap_or(i32::MAX);
            (rank, pool.keys[pick.candidate].clone(), pick.score, 1.0 - pick.similarity, theme, reasons.next())
        })
        .collect())
}

fn bad(message: String) -> Failure {
    Failure::new(Kind::BadArgument, message)
}
