//! Writes the stand-ins that `tests/fixtures/make_golden.py` freezes vectors from.
//!
//! ```text
//! cargo run -p clip --example standin -- DIRECTORY
//! ```

use std::path::Path;
use std::process::ExitCode;

use clip::standin::{self, Size};

/// The golden tests use the same.
const SEED: u64 = 42;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: standin DIRECTORY");
        return ExitCode::from(2);
    };
    for (name, size) in [("tiny", Size::Tiny), ("full", Size::Full)] {
        match standin::write(&Path::new(&directory).join(name), SEED, size) {
            Ok(info) => println!("{} {}", info.weights_sha256, info.name),
            Err(error) => {
                eprintln!("standin: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
