//! `make bench`: figures measured with the full-size model, without pass or fail. An argument selects a part, `embedder` or
//! `import`, or a measurement that needs no model: `search`, `tracking`, `queue`, `board` or `scale`.

mod embedder;
mod import;
mod scale;
mod search;
mod texts;
mod tracking;

use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use e2e::process::Process;
use e2e::{Installation, Model, Result, World};
use sandbox::{Config, Family};

/// Latency of every response of Pinterest and its image host.
const LATENCY: Duration = Duration::from_millis(50);
/// Different images per family. The sandbox draws them before the measurements start.
const POOL: u32 = 12;
const BOARD: &str = "Bench";

fn main() -> Result<()> {
    let installation = Installation::staged()?.with_extension()?;
    if let Some(name) = std::env::args().nth(1) {
        println!("{}", installation.version());
        return match name.as_str() {
            "embedder" => embedder::measure(&installation, &Model::find(&installation)?),
            "import" => import(&Model::find(&installation)?),
            "search" => search::measure(),
            "tracking" => tracking::measure(),
            "queue" => import::behind_queues(number("QUEUED", 100_000)?),
            "board" => import::large_board(number("PINS", 20_000)?),
            "scale" => scale::measure(number("ACCOUNTS", 100_000)?, number("PINS", 10_000_000)?),
            _ => bail!("no measurement \"{name}\": choose embedder, import, search, tracking, queue, board or scale"),
        };
    }
    let model = Model::find(&installation)?;
    println!("{}, model {}", installation.version(), model.directory().display());

    embedder::measure(&installation, &model)?;
    import(&model)
}

fn import(model: &Model) -> Result<()> {
    let mut config = Config::with_board(BOARD, &Family::ALL, number("PINS", 200)?);
    config.latency = LATENCY;
    config.image_latency = LATENCY;
    config.images.pool = Some(POOL);
    let downloads = number("DOWNLOADS", 8_u64)?.to_string();
    let world = World::builder()
        .sandbox(config)
        .model(model.directory())
        .setting("pinterest.parallel_downloads", &downloads)
        .start()?;
    texts::measure(&world)?;
    import::measure(&world, BOARD)?;
    memory(&world)
}

/// A number from the environment.
fn number<T: FromStr<Err = ParseIntError>>(name: &str, default: T) -> Result<T> {
    match std::env::var(name).ok().filter(|value| !value.is_empty()) {
        Some(value) => value.parse().with_context(|| format!("{name} is not a number")),
        None => Ok(default),
    }
}

fn memory(world: &World) -> Result<()> {
    let mut client = world.connect()?;
    client.execute("SELECT pinterest_board_embedding($1)", &[&BOARD])?;
    let pid: i32 = client.query_one("SELECT pg_catalog.pg_backend_pid()", &[])?.get(0);
    let workers = client.query(
        "SELECT pid, backend_type FROM pg_catalog.pg_stat_activity WHERE backend_type LIKE 'pg_pinterest%' ORDER BY 2",
        &[],
    )?;
    let mut processes = vec![("session".to_string(), Process::get(pid))];
    processes.extend(workers.iter().map(|row| (row.get::<_, String>(1), Process::get(row.get(0)))));
    processes.push(("pinterest-embedder".into(), world.cluster.embedder()?));
    for (name, process) in processes {
        let Some(process) = process else { continue };
        let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (resident, private) = (megabytes(process.resident_memory()?), megabytes(process.private_memory()?));
        figure(&format!("memory of {name}"), format!("{resident:.1} MB resident, {private:.1} MB of its own"));
    }
    Ok(())
}

/// One line of the report.
fn figure(name: &str, value: String) {
    println!("{name:<44} {value}");
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Median and 95th percentile.
fn spread(taken: &mut [Duration]) -> String {
    taken.sort_unstable();
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
    format!("{} at the median, {} for 95 of 100", milliseconds(at(0.5)), milliseconds(at(0.95)))
}
