//! A cluster that the shipped files watch: both exporters, and Prometheus with the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};
use e2e::checkout;
use serde_json::Value;

use super::files::shipped;
use super::programs::Programs;
use super::service::{Service, free_port};
use super::shortened;
use crate::support::prelude::*;

/// The role that the exporters use, as in docs/monitoring.md.
pub const ROLE: &str = "pinterest_exporter";

/// Replaces a part that the file must contain.
fn replaced(text: &str, part: &str, by: &str) -> Result<String> {
    ensure!(text.contains(part), "the file does not contain {part:?}");
    Ok(text.replace(part, by))
}

/// A watched cluster.
pub struct Watched {
    prometheus: Service,
    pub sql_exporter: Service,
    pub postgres_exporter: Service,
    _directory: tempfile::TempDir,
}

/// A series without name: its labels.
pub type Labels = BTreeMap<String, String>;

impl Watched {
    /// Starts the exporters for the first database, as the role of docs/monitoring.md, and Prometheus. Only ports,
    /// connection and times differ from the shipped files.
    pub fn start(programs: &Programs, world: &World) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = |name: &str| directory.path().join(name);
        let (sockets, port) = (world.cluster.socket_directory().display(), world.cluster.port());

        let text = replaced(
            &shipped("sql_exporter.yml")?,
            "@/postgres?host=/run/postgresql&",
            &format!("@/postgres?host={sockets}&port={port}&"),
        )?;
        fs::write(file("sql_exporter.yml"), replaced(&text, "interval: 30s", "interval: 500ms")?)?;
        let http = free_port()?;
        let sql_exporter = Service::start(
            Command::new(&programs.sql_exporter)
                .arg("-config.file")
                .arg(file("sql_exporter.yml"))
                .arg(format!("-web.listen-address=127.0.0.1:{http}")),
            http,
            "/metrics",
            file("sql_exporter.log"),
        )?;

        let http = free_port()?;
        let postgres_exporter = Service::start(
            Command::new(&programs.postgres_exporter)
                .arg("--extend.query-path")
                .arg(checkout().join("monitoring/postgres_exporter.yml"))
                .args(["--disable-default-metrics", "--disable-settings-metrics"])
                .arg(format!("--web.listen-address=127.0.0.1:{http}"))
                .env(
                    "DATA_SOURCE_NAME",
                    format!("postgresql://{ROLE}@/postgres?host={sockets}&port={port}&sslmode=disable"),
                ),
            http,
            "/metrics",
            file("postgres_exporter.log"),
        )?;

        fs::write(file("alerts.yml"), shortened::rules(&shipped("alerts.yml")?))?;
        let mut text = shipped("prometheus.yml")?;
        text = replaced(&text, "scrape_interval: 30s", "scrape_interval: 1s\n  scrape_timeout: 1s")?;
        text = replaced(&text, "evaluation_interval: 30s", "evaluation_interval: 500ms")?;
        let targets = [&sql_exporter, &postgres_exporter].map(|service| format!("'{}'", service.address())).join(", ");
        fs::write(file("prometheus.yml"), replaced(&text, "'localhost:9237'", &targets)?)?;
        programs.promtool(&["check", "config"], &file("prometheus.yml"))?;
        let http = free_port()?;
        let prometheus = Service::start(
            Command::new(&programs.prometheus)
                .arg(format!("--config.file={}", file("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", file("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{http}")),
            http,
            "/-/ready",
            file("prometheus.log"),
        )?;
        Ok(Self { prometheus, sql_exporter, postgres_exporter, _directory: directory })
    }

    /// The member `data` of a response of Prometheus, which must be a success.
    fn api(&self, path: &str) -> Result<Value> {
        let text = self.prometheus.get(&format!("/api/v1/{path}"))?;
        let mut answer: Value = serde_json::from_str(&text)?;
        ensure!(answer["status"] == "success", "{path}: {answer}");
        Ok(answer["data"].take())
    }

    /// The labels and values of an expression's result.
    pub fn query(&self, expression: &str) -> Result<Vec<(Labels, f64)>> {
        let encoded: String = form_urlencoded::Serializer::new(String::new()).append_pair("query", expression).finish();
        let data = self.api(&format!("query?{encoded}")).with_context(|| format!("query {expression}"))?;
        let series = data["result"].as_array().with_context(|| format!("{expression}: {data}"))?;
        series
            .iter()
            .map(|one| {
                let labels: Labels = serde_json::from_value(one["metric"].clone())?;
                Ok((labels, one["value"][1].as_str().unwrap_or_default().parse()?))
            })
            .collect()
    }

    /// The rules, as Prometheus has read and evaluated them.
    pub fn rules(&self) -> Result<Vec<Value>> {
        let data = self.api("rules")?;
        let groups = data["groups"].as_array().context("no groups")?;
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
    }

    /// The alerts of one name that fire, or are pending.
    pub fn alerts(&self, name: &str, state: &str) -> Result<Vec<Value>> {
        let data = self.api("alerts")?;
        let alerts = data["alerts"].as_array().context("no alerts")?;
        let wanted = |alert: &&Value| alert["labels"]["alertname"] == name && alert["state"] == state;
        Ok(alerts.iter().filter(wanted).cloned().collect())
    }

    /// Waits until an alert of this name fires; returns those that do.
    pub fn until_firing(&self, name: &str) -> Result<Vec<Value>> {
        let firing =
            wait_for(name, SOON, || Ok(Some(self.alerts(name, "firing")?).filter(|firing| !firing.is_empty())));
        firing.map_err(|error| error.context(format!("{:?}", self.log())))
    }

    /// Waits until no alert of this name fires or is pending.
    pub fn until_resolved(&self, name: &str) -> Result<()> {
        crate::support::until(&format!("the end of {name}"), || {
            Ok(self.alerts(name, "firing")?.is_empty() && self.alerts(name, "pending")?.is_empty())
        })
    }

    /// The series that an exporter reports, by name; without the labels that depend on the exporter.
    pub fn series_of(&self, exporter: &Service) -> Result<BTreeSet<(String, Labels)>> {
        let series = self.query(&format!("{{__name__=~\"pg_pinterest.*\", instance=\"{}\"}}", exporter.address()))?;
        Ok(series
            .into_iter()
            .map(|(mut labels, _)| {
                let name = labels.remove("__name__").unwrap_or_default();
                for label in ["instance", "job", "server"] {
                    labels.remove(label);
                }
                (name, labels)
            })
            .collect())
    }

    fn log(&self) -> Result<String> {
        Ok([&self.sql_exporter, &self.postgres_exporter, &self.prometheus]
            .map(|service| service.log().unwrap_or_default())
            .concat())
    }
}
