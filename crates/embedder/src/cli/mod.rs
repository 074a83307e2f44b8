//! The command line.

mod embed;
mod info;
mod init_model;
mod limits;
mod model;
mod pack;
mod serve;
mod status;
mod verify;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::log;

type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Compute CLIP ViT-B/32 embeddings of images and texts.
///
/// pg_pinterest starts `serve` by itself; the other commands prepare and examine a model.
#[derive(Parser)]
#[command(name = "pinterest-embedder", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder init-model model --seed 1
  pinterest-embedder verify --model model
  pinterest-embedder embed --model model photo.jpg
  pinterest-embedder serve --model model --socket run/embedder.sock

Exit status: 0 on success, 1 on failure, 2 for a wrong command line.";

#[derive(Subcommand)]
enum Command {
    Embed(embed::Arguments),
    Info(info::Arguments),
    InitModel(init_model::Arguments),
    Pack(pack::Arguments),
    Serve(serve::Arguments),
    Status(status::Arguments),
    Verify(verify::Arguments),
}

/// Runs the command.
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Embed(arguments) => embed::run(arguments),
        Command::Info(arguments) => info::run(arguments),
        Command::InitModel(arguments) => init_model::run(arguments),
        Command::Pack(arguments) => pack::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
    };
    outcome.unwrap_or_else(|error| {
        log::line(format_args!("{error}"));
        ExitCode::FAILURE
    })
}
