//! The engines of this crate for `make bench-peers`, which compares them with others.
//!
//! ```text
//! peer engine --model DIR --precision NAME [--kernels NAME] --threads N --images FILE --tokens FILE
//! peer peak --threads N
//! peer tokens TEXT...
//! ```
//!
//! The first two load once, print a line of JSON about themselves, and then answer each line of JSON on standard input with
//! one on standard output, until its end; `tests/peers/measure.py` describes the protocol. `tokens` prints a JSON list per text.
//!
//! The images are raw little-endian f32, N x 3 x 224 x 224, already normalised; the tokens a JSON list of lists.

mod arguments;
mod engine;
mod peak;
mod protocol;

use std::process::ExitCode;

use arguments::Arguments;
use clip::Tokenizer;

/// An error ends the program with its message.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("engine") => engine::answer(&Arguments::parse(words)?),
        Some("peak") => peak::answer(&Arguments::parse(words)?),
        Some("tokens") => {
            let tokenizer = Tokenizer::new();
            for text in words {
                println!("{}", serde_json::to_string(&tokenizer.encode(&text)?)?);
            }
            Ok(())
        }
        _ => Err("expected engine, peak or tokens".into()),
    }
}
