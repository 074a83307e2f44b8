//! The statements of docs/search.md run as written, and the planner chooses the plans that it shows.

use e2e::checkout;
use postgres::error::SqlState;
use sandbox::config::Surprises;

use crate::support::doc_pages::{blocks, statements};
use crate::support::prelude::*;
use crate::support::search::make_venues;

#[test]
fn the_pages_statements_run_and_its_plans_are_true() -> Result<()> {
    let board =
        |name: &str, families: &[Family], pins| BoardSpec::new(name, families, pins).media(MediaMix::images_only());
    let account = AccountSpec::new("example_user")
        .board(board("Our wedding", &[Family::Barn, Family::Beach], 16).sections(&["Ceremony", "Dress"]))
        .board(board("Barn wedding", &[Family::Barn], 6))
        .board(board("Beach ceremony", &[Family::Beach], 6));
    let config = Config { accounts: vec![account], surprises: Surprises::none(), ..Config::demo() };
    let (_world, mut client) = World::of(config)?.with_session()?;
    for board in ["Our wedding", "Barn wedding", "Beach ceremony"] {
        import(&mut client, board)?;
    }
    make_venues(&mut client, 8)?;
    client.batch_execute(
        "SELECT setseed(0.5);
         INSERT INTO venues (kind, name, description, price, embedding)
             SELECT 'noise', 'noise', 'noise', n % 6000, (SELECT array_agg(random() - 0.5) FROM generate_series(1, 512) WHERE n > 0)::vector
               FROM generate_series(1, 3000) AS n;
         INSERT INTO pinterest.pin (account_id, pin_id, board_id, raw, import_id, no_image)
             SELECT account_id, 'other' || n, board_id, '{}', 0, 'no_media' FROM pinterest.board, generate_series(1, 5000) AS n
              WHERE name = 'Beach ceremony';
         ANALYZE venues; ANALYZE pinterest.pin; ANALYZE pinterest.pin_image",
    )?;

    let text = std::fs::read_to_string(checkout().join("docs/search.md"))?;
    let blocks = blocks(&text);
    let (mut run, mut plans, mut wrong) = (0, 0, Vec::new());
    for (index, (language, body)) in blocks.iter().enumerate() {
        if *language != "sql" {
            continue;
        }
        for statement in statements(body) {
            run += 1;
            let rows = match client.query(&statement, &[]) {
                Ok(rows) => rows,
                // Untrained weights may find no image about a topic.
                Err(error)
                    if statement.contains("\"only\"")
                        && error.code() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) =>
                {
                    continue;
                }
                Err(error) => anyhow::bail!("{statement}\n{error:?}"),
            };
            if statement.starts_with("EXPLAIN") {
                let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
                let shown = blocks.get(index + 1).map_or("", |(_, body)| body);
                if plan.join("\n") != shown {
                    wrong.push(format!("{statement}\n\n{}", plan.join("\n")));
                }
                plans += 1;
            } else if statement.starts_with("SELECT")
                && !statement.contains("'photos'")
                && !statement.contains("duplicates")
            {
                assert!(!rows.is_empty(), "no rows: {statement}");
            }
        }
    }
    assert!(wrong.is_empty(), "plans that differ from docs/search.md:\n{}", wrong.join("\n\n"));
    assert!(run > 20 && plans == 3, "{run} statements, {plans} plans");
    Ok(())
}
