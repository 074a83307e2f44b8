//! The themes that the table has something for.

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
    /// The number of each of them among all, from 1.
    pub numbers: Vec<usize>,
}

impl Served {
    /// Every theme.
    pub fn all(taste: Taste) -> Self {
        Self { numbers: (1..=taste.themes.len()).collect(), taste }
    }

    /// Without the themes that the table has nothing for; tells which those are, where `explain` asks for it.
    pub fn by(tastes: &Tastes, pool: &Pool, table: &str, explain: bool) -> Self {
        let mut served = Self::all(tastes.taste.clone());
        let themes = &tastes.taste.themes;
        let supports = taste::supports(themes, &pool.vectors, &pool.chosen, &SupportRule::default(), &mut check);
        if supports.iter().all(|support| support.served) {
            return served;
        }
        let keep = |place: usize| supports[place].served;
        served.numbers.retain(|&number| keep(number - 1));
        served.taste.themes =
            (0..themes.len()).filter(|&place| keep(place)).map(|place| themes[place].clone()).collect();
        tell(tastes, &supports, table, if explain { PgLogLevel::NOTICE } else { PgLogLevel::DEBUG1 });
        served
    }
}

/// Says which themes are left out, and what the table has for each theme.
fn tell(tastes: &Tastes, supports: &[Support], table: &str, level: PgLogLevel) {
    let left_out: Vec<String> =
        (1..=supports.len()).filter(|&number| !supports[number - 1].served).map(|number| number.to_string()).collect();
    let (noun, verb) = if left_out.len() == 1 { ("theme", "takes") } else { ("themes", "take") };
    let message = format!(
        "{noun} {} of {} {verb} no places: hardly a row of {table} is like {}",
        left_out.join(", "),
        named(&tastes.liked.boards),
        if left_out.len() == 1 { "it" } else { "them" },
    );
    let rows: Vec<String> =
        supports.iter().zip(1..).map(|(support, number)| format!("{number}: {}", support.rows)).collect();
    let detail = format!("Different rows like each theme, as far as they were counted: {}.", rows.join(", "));
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "")
        .set_detail(detail)
        .set_hint("all_themes => true gives every theme its places.")
        .report(level);
}
