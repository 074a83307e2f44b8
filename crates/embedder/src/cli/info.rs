use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use embedder::ModelFingerprint;
use serde::Serialize;

use super::Outcome;
use super::model::ModelArguments;
use crate::model;
use crate::packing::Packing;
use crate::sandbox::{self, Needs};

/// Load a model and print its properties, and the sandbox that a server would run in on this machine.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder info --model model
  pinterest-embedder info --model model --json";

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    fingerprint: String,
    weights_sha256: String,
    precision: &'a str,
    kernels: &'a str,
    preprocessing: &'a str,
    dimension: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
    sandbox: String,
    load_seconds: f64,
}

pub fn run(arguments: Arguments) -> Outcome {
    let options = arguments.model.options();
    Packing::start(&arguments.model.directory, &options).wait();
    let (sandbox, _) = sandbox::enter(&Needs {
        model: &arguments.model.directory,
        files: &[],
        socket_directory: None,
        graphics: arguments.model.uses_graphics(),
    });
    let start = Instant::now();
    let (_, model) = model::load(&arguments.model.directory, &options)?;
    let report = Report {
        name: &model.name,
        fingerprint: model.fingerprint.to_string(),
        // A digest has the same format as a fingerprint.
        weights_sha256: ModelFingerprint::from_bytes(model.weights_sha256).to_string(),
        precision: &model.precision,
        kernels: &model.kernels,
        preprocessing: &model.preprocessing,
        dimension: model.dimension,
        notice: model.notice.as_deref(),
        sandbox: sandbox.to_string(),
        load_seconds: start.elapsed().as_secs_f64(),
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("name            {}", report.name);
        println!("fingerprint     {}", report.fingerprint);
        println!("weights SHA-256 {}", report.weights_sha256);
        println!("precision       {}", report.precision);
        println!("kernels         {}", report.kernels);
        println!("preprocessing   {}", report.preprocessing);
        println!("dimension       {}", report.dimension);
        println!("sandbox         {}", report.sandbox);
        println!("load time       {:.3} s", report.load_seconds);
        if let Some(notice) = report.notice {
            println!("notice          {notice}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
