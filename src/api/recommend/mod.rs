//! Rows of a user's table that suit boards: the best matches of the boards' themes, different from each other, with reasons.

mod because;
mod columns;
mod pool;
mod served;
mod tastes;

use pgrx::JsonB;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::board_images::check;
use super::label_embeddings::{named, texts};
use super::{given, index, none_long, up_to};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::regclass::Regclass;
use crate::store::{track, user_table};
use columns::Columns;
use served::Served;
use tastes::Tastes;

/// The candidates of every theme are held in memory.
const MOST_PICKS: i32 = 1000;

// The default that \df shows is the best one of the benchmark.
const _: () = assert!(taste::DEFAULT_DIVERSITY == 0.3);

/// The rows of a table that suit several boards, of one account or more. sql/functions.sql has the function for one board.
#[pg_extern(stable, parallel_restricted, name = "pinterest_recommend")]
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
    let boards = texts(given(boards, "board")?, "board")?;
    let table = given(table, "table")?.0;
    let k = up_to(MOST_PICKS, given(k, "k")?, "k")?;
    let diversity = given(diversity, "diversity")?;
    let explain = given(explain, "explain")?;
    let all_themes = given(all_themes, "all_themes")?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let not_boards = not_boards.map(|boards| texts(boards, "not_boards")).transpose()?.unwrap_or_default();
    let contrasts = contrasts.map(|contrasts| texts(contrasts, "contrasts")).transpose()?;
    if !(0.0..=1.0).contains(&diversity) {
        let message = format!("diversity must be from 0 to 1, not {diversity}");
        return Err(Failure::new(Kind::BadArgument, message).into());
    }
    none_long(&[("only", only), ("key", key), ("embedding", embedding)])?;
    let described = user_table::describe(table)?;
    let columns = Columns::choose(&described, key, embedding)?;
    let (boards, not_boards) = (named(boards, "board")?, named(not_boards, "not_boards")?);
    let tastes = Tastes::of(&boards, &not_boards, only, contrasts, account_id, skip_ai)?;
    let pool = pool::gather(&columns.search()?, &tastes.taste, k)?;
    // After the statement above, in which the server refuses a caller who may not read the table.
    let models = as_worker(|| track::queue::models_of(table, &columns.embedding.name))?;
    tastes.check_models(&models, &described.quoted)?;
    // The text of the caller has precedence over the contents of the table.
    let served = if all_themes || only.is_some() {
        Served::all(tastes.taste.clone())
    } else {
        Served::by(&tastes, &pool, &described.quoted, explain)
    };
    let picks = taste::recommend(&served.taste, &pool.vectors, k, diversity, &mut check);
    let mut reasons = if explain { because::of(&tastes, &pool, &picks)? } else { Vec::new() }.into_iter();
    let row = move |(rank, pick): (usize, taste::Pick)| {
        let theme = index(served.numbers[pick.theme]);
        (index(rank), pool.keys[pick.candidate].clone(), pick.score, 1.0 - pick.similarity, theme, reasons.next())
    };
    Ok(TableIterator::new((1..).zip(picks).map(row).collect::<Vec<_>>()))
}
