use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clip::standin::{self, Size};

use super::Outcome;
use crate::failure::Failure;

/// Write an untrained model of the same architecture.
///
/// It is for tests and for machines without the published weights. Its embeddings reflect colour and texture, not meaning.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Directory to write to; it is created if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Seed of the weights; the same seed gives the same weights on every machine
    #[arg(long, value_name = "N")]
    seed: u64,

    /// Use few and narrow layers: about 15 MB instead of 600, and fast
    #[arg(long)]
    tiny: bool,

    /// Replace an existing model
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder init-model model --seed 1
  pinterest-embedder init-model target/tiny-model --seed 7 --tiny --force";

pub fn run(arguments: Arguments) -> Outcome {
    if !arguments.force {
        for file in ["config.json", "model.safetensors"] {
            let path = arguments.directory.join(file);
            // A dangling link counts as a file.
            if path.symlink_metadata().is_ok() {
                return Err(format!("\"{}\" already exists (use --force to replace the model)", path.display()).into());
            }
        }
    }
    let size = match arguments.tiny {
        true => Size::Tiny,
        false => Size::Full,
    };
    let info = standin::write(&arguments.directory, arguments.seed, size).map_err(Failure::from)?;
    println!("{}", info.name);
    println!("{}", info.weights_sha256);
    Ok(ExitCode::SUCCESS)
}
