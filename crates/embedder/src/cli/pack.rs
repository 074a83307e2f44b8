use std::fs::File;
use std::process::ExitCode;

use clap::Args;
use rustix::fs::{FlockOperation, flock};

use super::Outcome;
use super::model::ModelArguments;
use crate::failure::Failure;
use crate::log;

/// Write a model's weights in the format of the fast kernels, beside the model.
///
/// Loading a model does this by itself if it may write the directory. If the server's user may not, the owner of the
/// directory runs this once, and again after a change of the model or of the precision, or after the files were copied. A
/// load then takes milliseconds and shares its memory with the file.
///
/// The file is checked once, and the check is recorded beside it. Precision and kernels are chosen as the server chooses
/// them, so run this on the server's machine.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,

    /// Only if loading would not find them packed and checked; end with the parent process
    #[arg(long, hide = true)]
    if_needed: bool,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder pack --model model
  pinterest-embedder pack --model model --precision f32

Prints the path of the file. With candle kernels there is no file to write, since
candle reads the checkpoint; the exit status is 0 in that case.";

pub fn run(arguments: Arguments) -> Outcome {
    let options = arguments.model.options();
    if arguments.if_needed {
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // If several start at once, one packs, and the others find the file.
        let directory = File::open(&arguments.model.directory)?;
        flock(&directory, FlockOperation::LockExclusive)?;
        // Keeps a file that is valid, and records the check.
        clip::load(&arguments.model.directory, &options).map_err(Failure::from)?;
        return Ok(ExitCode::SUCCESS);
    }
    match clip::pack(&arguments.model.directory, &options).map_err(Failure::from)? {
        Some(path) => println!("{}", path.display()),
        None => log::line(format_args!("nothing to write: candle reads the checkpoint")),
    }
    Ok(ExitCode::SUCCESS)
}
