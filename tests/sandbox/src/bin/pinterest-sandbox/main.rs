//! `pinterest-sandbox`: the sandbox as a program, for everything that is not written in Rust.

mod arguments;
mod board;
mod serve;

use std::process::ExitCode;

use arguments::Command;

fn main() -> ExitCode {
    let done = arguments::parse(lexopt::Parser::from_env())
        .map_err(|error| format!("{error}\nTry pinterest-sandbox --help"))
        .and_then(run);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("pinterest-sandbox: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Help => print!("{}", include_str!("help.txt")),
        Command::Version => println!("pinterest-sandbox {}", env!("CARGO_PKG_VERSION")),
        Command::Draw { family, file, seed, width, height } => {
            let picture = sandbox::scene::draw(family, seed, width, height);
            picture.save(&file).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        Command::Serve { config, lifeline } => serve::run(*config, lifeline)?,
    }
    Ok(())
}
