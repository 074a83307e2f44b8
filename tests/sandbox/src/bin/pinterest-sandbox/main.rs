//! `pinterest-sandbox`: the sandbox as a program, for clients that are not written in Rust.

mod arguments;
mod board;
mod serve;

use std::process::ExitCode;

use arguments::{Arguments, Command, Draw};
use clap::Parser as _;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(serve) => {
            let lifeline = serve.stdin_lifeline;
            serve::run(serve.config(), lifeline)
        }
        Command::Draw(Draw { family, file, seed, size: (width, height) }) => {
            let image = sandbox::scene::draw(family, seed, width, height);
            image.save(&file).map_err(|error| format!("could not write {}: {error}", file.display()))
        }
    };
    if let Err(message) = done {
        eprintln!("pinterest-sandbox: {message}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
