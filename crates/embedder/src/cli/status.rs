use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args, value_parser};
use embedder::{Client, Info, Member, ModelState, Place};
use serde::Serialize;
use tokio::time::timeout;

use super::Outcome;
use crate::tls::{Files, Server, Tls};

/// Ask a running server how it is.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("server").args(["socket", "address"]).required(true)))]
pub struct Arguments {
    /// The server's Unix socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The server's name or address; the port is 7433 if left out
    #[arg(long, value_name = "ADDRESS:PORT", requires_all = ["certificate", "key", "authorities"])]
    address: Option<Place>,

    /// Expect the server's certificate to be for this name, if it is reached by another one
    #[arg(long, value_name = "NAME", requires = "address")]
    server_name: Option<String>,

    #[command(flatten)]
    tls: Option<Files>,

    /// Give up after this time
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder status --socket run/embedder.sock
  pinterest-embedder status --address gpu1.internal:7433 --tls-certificate db1.pem \\
      --tls-key db1.key --tls-ca ca.pem

Exit status: 0 if the server has a model and answers requests, else 1.";

#[derive(Serialize)]
struct Report {
    pid: u32,
    version: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    model: Option<Model>,
    sandbox: String,
    images: u64,
    texts: u64,
    images_waiting: u32,
    texts_waiting: u32,
    embedders: Vec<Embedder>,
}

#[derive(Serialize)]
struct Model {
    name: String,
    fingerprint: String,
    precision: String,
    kernels: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

#[derive(Serialize)]
struct Embedder {
    #[serde(skip)]
    place: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    kernels: String,
    images: u64,
    texts: u64,
    failures: u64,
    in_flight: u32,
    window: u32,
    images_per_second: f64,
    round_trip_ms: f64,
}

pub fn run(arguments: Arguments) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seconds = arguments.timeout;
    let json = arguments.json;
    let asked = runtime.block_on(async { timeout(Duration::from_secs(seconds), ask(arguments)).await });
    // A thread may still look up a name.
    runtime.shutdown_background();
    let (info, embedders) = asked.map_err(|_| format!("no answer within {seconds} seconds"))??;
    let report = report(info, embedders);
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(if report.state == "ready" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(arguments: Arguments) -> Result<(Info, Vec<Member>), Box<dyn Error>> {
    let client = match (arguments.socket, arguments.address, arguments.tls) {
        (Some(path), ..) => Client::connect(&path).await?,
        (None, Some(Place::Remote { host, port }), Some(files)) => {
            let tls = Arc::new(Tls::load(files)?);
            let name = arguments.server_name.unwrap_or_else(|| host.clone());
            let mut last: Result<Client, Box<dyn Error>> = Err("the name has no address".into());
            for address in tokio::net::lookup_host((host.as_str(), port)).await? {
                let server = Server { tls: Arc::clone(&tls), host: name.clone(), address };
                last = Client::over(Box::new(server)).await.map_err(Into::into);
                if last.is_ok() {
                    break;
                }
            }
            last?
        }
        _ => return Err("--address takes the name or address of a machine".into()),
    };
    Ok((client.info().await?, client.embedders().await?))
}

fn report(info: Info, embedders: Vec<Member>) -> Report {
    let (state, problem, model) = match info.model {
        ModelState::Ready(model) => {
            let embedder::Model { name, precision, kernels, notice, .. } = model;
            let fingerprint = model.fingerprint.to_string();
            ("ready", None, Some(Model { name, fingerprint, precision, kernels, notice }))
        }
        ModelState::Loading => ("loading", None, None),
        ModelState::Failed { message, .. } => ("failed", Some(message), None),
    };
    Report {
        pid: info.pid,
        version: info.version,
        state,
        problem,
        model,
        sandbox: info.sandbox.to_string(),
        images: info.statistics.images,
        texts: info.statistics.texts,
        images_waiting: info.statistics.images_waiting,
        texts_waiting: info.statistics.texts_waiting,
        embedders: embedders.into_iter().map(embedder).collect(),
    }
}

fn embedder(member: Member) -> Embedder {
    Embedder {
        place: member.place(),
        name: member.name,
        address: member.address,
        state: member.state.to_string(),
        problem: member.problem,
        kernels: member.kernels,
        images: member.images,
        texts: member.texts,
        failures: member.failures,
        in_flight: member.in_flight,
        window: member.window,
        images_per_second: match member.image_microseconds {
            0 => 0.0,
            microseconds => (1e7 / f64::from(microseconds)).round() / 10.0,
        },
        round_trip_ms: f64::from(member.round_trip_microseconds) / 1000.0,
    }
}

fn print(report: &Report) {
    println!("state           {}", report.state);
    if let Some(problem) = &report.problem {
        println!("problem         {problem}");
    }
    println!("process         {}, version {}", report.pid, report.version);
    if let Some(model) = &report.model {
        println!("model           {}", model.name);
        println!("fingerprint     {}", model.fingerprint);
        println!("precision       {}", model.precision);
        println!("kernels         {}", model.kernels);
        if let Some(notice) = &model.notice {
            println!("notice          {notice}");
        }
    }
    println!("sandbox         {}", report.sandbox);
    println!("answered        {} images, {} texts", report.images, report.texts);
    println!("waiting         {} images, {} texts", report.images_waiting, report.texts_waiting);
    for embedder in &report.embedders {
        let Embedder { place, state, images, texts, failures, .. } = embedder;
        print!("embedder        {place}: {state}, {images} images, {texts} texts, {failures} failures");
        if embedder.images_per_second > 0.0 {
            print!(", {} images/s", embedder.images_per_second);
        }
        if embedder.round_trip_ms > 0.0 {
            print!(", {:.1} ms away", embedder.round_trip_ms);
        }
        match &embedder.problem {
            Some(problem) => println!("; {problem}"),
            None => println!(),
        }
    }
}
