//! Alerts go the whole way: server, exporter, Prometheus.

use std::collections::BTreeSet;

use anyhow::Context;

use super::files::{board, metrics, shipped};
use super::programs::Programs;
use super::prometheus::{ROLE, Watched};
use crate::support::machines::{Authority, Files, Machine};
use crate::support::prelude::*;
use crate::support::tracking_work::{settled, texts};

/// An embedder on another machine, and the server's files for it.
type Elsewhere = (Machine, Files);

const USER: &str = "example_user";

/// A world with the exporters' role, something to report in every view, and no more work to do.
fn world() -> Result<(World, Client, Elsewhere)> {
    let authority = Authority::new()?;
    let (machine, files) = (Machine::start(&authority)?, authority.files("db1.internal")?);
    let list = format!("local, {}", machine.address);
    let mut builder = World::builder().sandbox(quick_board("Beach", 2)).setting("pinterest.embedders", &list);
    for (name, value) in files.settings() {
        builder = builder.setting(name, &value);
    }
    let (world, mut client) = builder.start()?.with_session()?;
    client.batch_execute(&format!("CREATE ROLE {ROLE} LOGIN; GRANT pg_monitor TO {ROLE}"))?;
    import(&mut client, "Beach")?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'a barn')")?;
    settled(&mut client)?;
    Ok((world, client, (machine, files)))
}

#[test]
fn alerts_fire_and_end() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let (world, mut client, _elsewhere) = world()?;
    let mut watched = Watched::start(&programs, &world)?;
    every_metric_is_reported(&watched)?;
    every_expression_of_the_board_has_a_result(&watched)?;

    // A queue that stands still, because the workers are paused. Meanwhile the embedder dies.
    client.batch_execute("SELECT pinterest_pause_workers()")?;
    let parked = queue_board(&mut client, "Beach")?;
    client.query("SELECT pinterest_embed_text('a barn with string lights')", &[])?;
    let embedder = wait_for("the embedder", SOON, || world.cluster.embedder())?;
    world.cluster.kill9(embedder.pid)?;
    let died = watched.until_firing("PgPinterestEmbedderDied")?;
    assert_eq!(died[0]["labels"]["severity"], "warning", "{died:?}");
    let still = watched.until_firing("PgPinterestImportsStandStill")?;
    assert_eq!(still[0]["labels"]["datname"], "postgres", "{still:?}");
    let link = still[0]["annotations"]["runbook_url"].as_str();
    assert_eq!(link, Some("docs/monitoring.md#pgpinterestimportsstandstill"), "{still:?}");
    let summary = still[0]["annotations"]["summary"].as_str().context("no summary")?;
    assert!(!summary.contains("error expanding template"), "{summary}");
    client.batch_execute("SELECT pinterest_resume_workers()")?;
    complete(&mut client, parked)?;
    watched.until_resolved("PgPinterestImportsStandStill")?;
    watched.until_resolved("PgPinterestEmbedderDied")?;

    // An account whose user has removed the app.
    world.sandbox.revoke(USER)?;
    refusal(client.execute("SELECT pinterest_refresh($1)", &[&world.account()]));
    client.until("SELECT count(*) FROM pinterest.accounts WHERE status = 'needs_reauth'", 1_i64)?;
    let needs = watched.until_firing("PgPinterestAccountNeedsUser")?;
    assert_eq!(needs[0]["annotations"]["summary"], "1 accounts in postgres need their user", "{needs:?}");
    world.connect_account(&mut client)?;
    watched.until_resolved("PgPinterestAccountNeedsUser")?;

    // The exporters report that the server is gone; Prometheus reports that an exporter is gone.
    world.cluster.stop(Stop::Fast)?;
    watched.until_firing("PgPinterestScrapeFails")?;
    watched.postgres_exporter.stop();
    watched.until_firing("PgPinterestExporterDown")?;
    Ok(())
}

/// Both exporters report the same series, among them each one that a rule uses, and Prometheus evaluates each rule.
fn every_metric_is_reported(watched: &Watched) -> Result<()> {
    let mut last = (BTreeSet::new(), BTreeSet::new());
    let used = metrics(&shipped("alerts.yml")?);
    let same = wait_for("the metrics of both exporters", SOON, || {
        last = (watched.series_of(&watched.sql_exporter)?, watched.series_of(&watched.postgres_exporter)?);
        let names: BTreeSet<String> = last.0.iter().map(|(name, _)| name.clone()).collect();
        Ok((last.0 == last.1 && used.is_subset(&names)).then_some(()))
    });
    let (sql, postgres) = &last;
    same.with_context(|| {
        let names: BTreeSet<&String> = sql.iter().map(|(name, _)| name).collect();
        format!(
            "not in both: {:?}; not reported: {:?}",
            sql.symmetric_difference(postgres).collect::<Vec<_>>(),
            used.iter().filter(|name| !names.contains(name)).collect::<Vec<_>>()
        )
    })?;
    for name in ["sql_exporter_last_scrape_failed{query=\"pg_pinterest_http\"}", "pg_exporter_last_scrape_error"] {
        let found = watched.query(name)?;
        assert!(!found.is_empty() && found.iter().all(|(_, value)| *value == 0.0), "{name}: {found:?}");
    }
    let rules = wait_for("the first evaluation of the rules", SOON, || {
        Ok(Some(watched.rules()?).filter(|rules| rules.iter().all(|rule| rule["health"] != "unknown")))
    })?;
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning", "info"].contains(&severity), "{rule}");
        for annotation in ["summary", "description", "runbook_url"] {
            assert!(
                rule["annotations"][annotation].as_str().is_some_and(|text| !text.is_empty()),
                "{annotation}: {rule}"
            );
        }
    }
    Ok(())
}

/// The queries of the board's panels, as Grafana would send them.
fn every_expression_of_the_board_has_a_result(watched: &Watched) -> Result<()> {
    let board = board()?;
    let mut expressions = Vec::new();
    for panel in board["panels"].as_array().context("no panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().context("no expression")?;
            let filled =
                expression.replace("$__rate_interval", "10s").replace("$instance", ".*").replace("$database", ".*");
            assert!(!filled.contains('$'), "{expression}");
            expressions.push((panel["title"].to_string(), filled));
        }
    }
    assert!(expressions.len() > 40, "{}", expressions.len());
    // Rates need two values of each series.
    wait_for("a second value", SOON, || {
        let values = watched.query("min(count_over_time(pg_pinterest_collected_timestamp_seconds[10s]))")?;
        Ok(values.first().is_some_and(|(_, number)| *number >= 2.0).then_some(()))
    })?;
    for (title, expression) in expressions {
        let result = watched.query(&expression).with_context(|| title.clone())?;
        assert!(!result.is_empty(), "{title} shows nothing: {expression}");
    }
    Ok(())
}
