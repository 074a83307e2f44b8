//! `make demo`: the extension's main job, step by step, on a throwaway server with a local Pinterest.
//!
//! `KEEP=1` leaves both running; `demo stop` (`make demo-stop`) ends them.

mod environment;
mod gallery;
mod picture;
mod pinterest;
mod progress;
mod ranking;
mod steps;
mod venues;

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use e2e::cluster::{Cluster, DATABASE, SUPERUSER};
use e2e::{Installation, Model, Result, runtime_directory, world};

use environment::Environment;
use pinterest::LocalPinterest;
use steps::Steps;

/// The board by which the venues are ranked.
const BOARD: &str = "Barn wedding";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => run(),
        ["stop"] => stop_and_tell(),
        _ => Err(anyhow::anyhow!("usage: demo [stop]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let keep = std::env::var("KEEP").is_ok_and(|value| !value.is_empty() && value != "0");
    let directory = runtime_directory("demo")?;
    stop(&directory)?;

    let installation = Installation::staged()?.with_extension()?;
    let mut steps = Steps::begin();
    let model = steps.run("Find a model, or make a stand-in", || {
        let model = Model::find(&installation)?;
        Ok((model.directory().display().to_string(), model))
    })?;
    if let Some(notice) = model.notice() {
        steps.note(notice);
    }
    let pinterest = steps.run("Start a local Pinterest", || {
        let pinterest = LocalPinterest::start(&installation, &directory, keep)?;
        Ok((pinterest.url(), pinterest))
    })?;
    let cluster = steps.run("Start a throwaway server", || {
        let cluster = Cluster::builder()
            .preload(true)
            .settings(world::settings(pinterest.host(), pinterest.ca_file(), model.directory()))
            .directory(directory.join("cluster"))
            .start()?;
        Ok((format!("{}, socket in {}", installation.version(), cluster.socket_directory().display()), cluster))
    })?;

    main_job(&mut steps, &cluster, &pinterest, &directory.join("gallery.html"))?;
    steps.end();

    let environment = Environment {
        host: cluster.socket_directory().to_path_buf(),
        port: cluster.port(),
        user: SUPERUSER,
        database: DATABASE,
        sandbox: pinterest.url(),
        client_id: pinterest.app().client_id.clone(),
        client_secret: pinterest.app().client_secret.clone(),
        model: model.directory().to_path_buf(),
        embedder: installation.embedder(),
    };
    println!("\nThe board and its venues, to look at: {}", e2e::checkout().join("target/demo/gallery.html").display());
    if keep {
        environment.write(&directory)?;
        cluster.keep();
        pinterest.keep();
        environment.explain();
    }
    Ok(())
}

/// Runs the statements of a user of the extension.
fn main_job(steps: &mut Steps, cluster: &Cluster, pinterest: &LocalPinterest, page: &Path) -> Result<()> {
    let mut client = cluster.connect()?;
    steps.sql("CREATE EXTENSION pg_pinterest CASCADE", || {
        client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
        let version: String = client
            .query_one("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pg_pinterest'", &[])?
            .get(0);
        Ok((format!("version {version}"), ()))
    })?;
    steps.sql("SELECT pinterest_register_app('demo', client_id, client_secret, redirect_uri)", || {
        let app = pinterest.app();
        let id: i64 = client
            .query_one(
                "SELECT pinterest_register_app('demo', $1, $2, $3)",
                &[&app.client_id, &app.client_secret, &app.redirect_uri],
            )?
            .get(0);
        Ok((format!("app {id}, its secret sealed"), ()))
    })?;
    let authorize_url = steps.sql("SELECT pinterest_authorize_url()", || {
        let url: String = client.query_one("SELECT pinterest_authorize_url()", &[])?.get(0);
        Ok((url.split('?').next().unwrap_or_default().to_string() + "?…", url))
    })?;
    // An app keeps the state in the browser's session: the redirect must reach the browser that requested it.
    let session_state = pinterest::state_of(&authorize_url)?.to_owned();
    let browser = pinterest.browser()?;
    let redirect = steps.run("Open that page in a browser, allow access", || {
        let redirect = browser.authorize(&authorize_url)?;
        Ok(("sent back with a code and the state".into(), redirect))
    })?;
    steps.run("Compare the state with the session's", || {
        if redirect.state != session_state {
            bail!("the returned state differs from the session's");
        }
        Ok(("it is the same".into(), ()))
    })?;
    steps.sql("SELECT pinterest_connect(code, state)", || {
        let id: i64 = client.query_one("SELECT pinterest_connect($1, $2)", &[&redirect.code, &redirect.state])?.get(0);
        Ok((format!("account {id}, its tokens sealed"), ()))
    })?;
    steps.sql("SELECT name, pin_count FROM pinterest_list_boards()", || {
        let rows = client.query("SELECT name, pin_count FROM pinterest_list_boards() ORDER BY pin_count DESC", &[])?;
        let boards: Vec<String> = rows
            .iter()
            .map(|row| format!("{} ({})", row.get::<_, String>(0), row.get::<_, Option<i32>>(1).unwrap_or(0)))
            .collect();
        Ok((boards.join(", "), ()))
    })?;
    let import =
        steps.sql(&format!("SELECT pinterest_import_board('{BOARD}', keep_images => 'thumbnails')"), || {
            let id: i64 =
                client.query_one("SELECT pinterest_import_board($1, keep_images => 'thumbnails')", &[&BOARD])?.get(0);
            Ok((format!("import {id}, under way in the background"), id))
        })?;
    steps.run_with_lines("Watch pinterest.imports", || progress::watch(&mut client, import))?;
    steps.run(&format!("Fill a table of {} venues with photos", venues::count()), || {
        venues::create(&mut client)?;
        Ok(("and index its vectors: USING hnsw (embedding vector_cosine_ops)".into(), ()))
    })?;
    steps.sql("SELECT pinterest_track('venues', image => 'photo')", || {
        Ok((format!("{} photos to embed, in the background", venues::track(&mut client)?), ()))
    })?;
    steps.sql("SELECT pinterest_wait_for_tracked('venues', '5 minutes')", || {
        Ok((format!("{} venues embedded", venues::wait(&mut client)?), ()))
    })?;
    let ranked = steps.sql(ranking::SQL, || {
        let ranked = ranking::query(&mut client, BOARD)?;
        if ranked.is_empty() {
            bail!("the ranking is empty");
        }
        Ok((format!("{} rows", ranked.len()), ranked))
    })?;
    ranking::print(&ranked);
    steps.sql(gallery::SQL, || {
        let bytes = gallery::write(&mut client, BOARD, page)?;
        Ok((format!("a page of {:.1} MB that needs no network", bytes as f64 / 1e6), ()))
    })
}

/// Stops the processes that an earlier run left running. Returns whether any were running.
fn stop(directory: &Path) -> Result<bool> {
    let server = Cluster::remove_kept(&directory.join("cluster"))?;
    let sandbox = LocalPinterest::stop_kept(directory)?;
    Environment::remove(directory)?;
    Ok(server || sandbox)
}

fn stop_and_tell() -> Result<()> {
    let stopped = stop(&runtime_directory("demo")?)?;
    println!("{}", if stopped { "the demo is stopped" } else { "no demo is running" });
    Ok(())
}
