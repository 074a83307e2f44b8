use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clip::standin::{self, Size};

use super::Outcome;
use crate::failure::Failure;

/// Write a deterministic, untrained model of the same architecture.
///
/// For tests, and for machines without the published weights: its embeddings reflect colour and texture, not meaning.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Directory to write to; it is made if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The same seed gives the same weights on every machine
    #[arg(long, value_name = "N")]
    seed: u64,

    /// Few and narrow layers: about 15 MB instead of 600, and fast
    #[arg(long)]
    tiny: bool,

    /// Replace a model that is there
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
            // A link that leads nowhere is something of somebody's, too.
            if path.symlink_metadata().is_ok() {
                return Err(format!("{} exists; --force replaces the model", path.display()).into());
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
