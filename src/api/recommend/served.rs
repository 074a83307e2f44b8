//! The themes for which the table has rows.

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::elog::PgLogLevel;
use pgrx::pg_sys::panic::ErrorReport;
use taste::{Support, SupportRule, Taste};

use super::pool::Pool;
use super::tastes::Tastes;
use crate::api::board_images::{check, named};

/// The taste to rank by.
pub struct Served {
    /// With the themes that are served.
    pub taste: Taste,
    /// The number of each of them among all themes, from 1.
    pub numbers: Vec<usize>,
}

impl Served {
    /// Every theme.
    pub fn all(taste: Taste) -> Self {
        Self { numbers: (1..=taste.themes.len()).collect(), taste }
    }

    /// Without the themes for which the table has no rows. Reports these, at level NOTICE if `explain` is set.
    pub fn by(tastes: &Tastes, pool: &Pool, table: &str, explain: bool) -> Self {
        let mut served = Self::all(tastes.taste.clone());
        let themes = &tastes.taste.themes;
        let supports = taste::supports(themes, &pool.vectors, &pool.chosen, &SupportRule::default(), &mut check);
        served.numbers.retain(|&number| supports[number - 1].served);
        if served.numbers.len() < themes.len() {
            served.taste.themes = served.numbers.iter().map(|&number| themes[number - 1].clone()).collect();
            report(tastes, &supports, table, if explain { PgLogLevel::NOTICE } else { PgLogLevel::DEBUG1 });
        }
        served
    }
}

fn report(tastes: &Tastes, supports: &[Support], table: &str, level: PgLogLevel) {
    let numbered = || (1..).zip(supports);
    let left_out: Vec<String> =
        numbered().filter(|(_, support)| !support.served).map(|(number, _)| number.to_string()).collect();
    let (noun, verb, pronoun) = if left_out.len() == 1 { ("theme", "takes", "it") } else { ("themes", "take", "them") };
    let message = format!(
        "{noun} {} of {} {verb} no places: hardly any row of {table} is like {pronoun}",
        left_out.join(", "),
        named(&tastes.liked.boards),
    );
    let rows: Vec<String> = numbered().map(|(number, support)| format!("{number}: {}", support.rows)).collect();
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "")
        .set_detail(format!("Different rows like each theme, as far as they were counted: {}.", rows.join(", ")))
        .set_hint("To give every theme its places, pass all_themes => true.")
        .report(level);
}
