//! Rules, board and page agree with each other, and promtool accepts the rules.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context;
use e2e::checkout;
use serde_json::Value;

use super::programs::Programs;
use crate::support::prelude::*;

/// A file of `monitoring/`.
pub fn shipped(name: &str) -> Result<String> {
    let path = checkout().join("monitoring").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The board.
pub fn board() -> Result<Value> {
    serde_json::from_str(&shipped("grafana.json")?).context("grafana.json")
}

/// Names of metrics of pg_pinterest in a text.
pub fn metrics(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("pg_pinterest_"))
        .map(str::to_owned)
        .collect()
}

/// The names of the alerts.
fn alerts() -> Result<Vec<String>> {
    let names: Vec<String> = shipped("alerts.yml")?
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("- alert: ")?.to_owned()))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    Ok(names)
}

#[test]
fn each_alert_has_a_section_a_link_to_it_and_a_unit_test() -> Result<()> {
    let page = fs::read_to_string(checkout().join("docs/monitoring.md"))?;
    let rules = shipped("alerts.yml")?;
    let tests = include_str!("alerts_test.yml");
    let names = alerts()?;
    for name in &names {
        assert!(page.contains(&format!("\n### {name}\n")), "docs/monitoring.md has no section {name}");
        let link = format!("runbook_url: docs/monitoring.md#{}\n", name.to_lowercase());
        assert!(rules.contains(&link), "{name} has no {link}");
        for state in ["value: 0", "value: 1"] {
            let tested = tests.split("- expr: ").any(|test| {
                test.contains(&format!("alertname=\"{name}\"")) && test.contains(&format!("exp_samples: [{{{state}}}]"))
            });
            assert!(tested, "no test in alerts_test.yml of {name} with {state}");
        }
    }
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### PgPinterest")).collect();
    assert_eq!(sections.len(), names.len(), "{sections:?}");
    Ok(())
}

#[test]
fn the_page_lists_every_metric() -> Result<()> {
    let page = metrics(&fs::read_to_string(checkout().join("docs/monitoring.md"))?);
    let rules = metrics(&shipped("alerts.yml")?);
    // In postgres_exporter's file a metric is its query's name and a column.
    let mut exported = BTreeSet::new();
    let text = shipped("postgres_exporter.yml")?;
    let mut lines = text.lines().peekable();
    let mut query = "";
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_suffix(':').filter(|name| name.starts_with("pg_pinterest")) {
            query = name;
        }
        let column = line.strip_prefix("    - ").and_then(|rest| rest.strip_suffix(':'));
        if let (Some(column), Some(usage)) = (column, lines.peek())
            && !usage.ends_with("LABEL")
        {
            exported.insert(format!("{query}_{column}"));
        }
    }
    assert!(exported.len() > 50, "{exported:?}");
    assert_eq!(exported.difference(&page).collect::<Vec<_>>(), Vec::<&String>::new(), "not in docs/monitoring.md");
    for (name, used) in [("alerts.yml", rules), ("grafana.json", metrics(&board()?.to_string())), ("the page", page)] {
        assert_eq!(
            used.difference(&exported).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "{name} uses unknown metrics"
        );
    }
    Ok(())
}

#[test]
fn promtool_accepts_the_rules_and_their_unit_tests_pass() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let rules = programs.promtool(&["check", "rules"], &checkout().join("monitoring/alerts.yml"))?;
    assert!(rules.contains(&format!("{} rules found", alerts()?.len())), "{rules}");
    programs.promtool(&["check", "config"], &checkout().join("monitoring/prometheus.yml"))?;
    let tests = checkout().join("tests/e2e/tests/it/monitoring/alerts_test.yml");
    programs.promtool(&["test", "rules"], &tests).map(drop)
}

#[test]
fn the_board_is_complete() -> Result<()> {
    let board = board()?;
    for member in ["uid", "title", "schemaVersion", "templating", "time", "panels"] {
        assert!(!board[member].is_null(), "{member}");
    }
    assert!(board["id"].is_null(), "an id belongs to one installation");
    let variables: Vec<&str> = board["templating"]["list"]
        .as_array()
        .context("no variables")?
        .iter()
        .filter_map(|v| v["name"].as_str())
        .collect();
    assert_eq!(variables, ["datasource", "instance", "database"]);
    let panels = board["panels"].as_array().context("no panels")?;
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "two panels have the id {}", panel["id"]);
        let place = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|member| place[member].as_u64().unwrap_or(99));
        assert!(x + w <= 24, "{place}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "panels overlap: {}", panel["title"]);
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{}", panel["title"]);
    }
    Ok(())
}
