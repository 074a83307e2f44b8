use std::fs::File;
use std::process::ExitCode;

use clap::Args;
use rustix::fs::{FlockOperation, flock};

use super::Outcome;
use super::model::ModelArguments;
use crate::failure::Failure;
use crate::log;

/// Write a model's weights as the fast kernels read them, beside the model.
///
/// Loading does so by itself where it may write the directory. Where the server's user may not, whoever owns the directory
/// runs this once, and again after a change of the model or of the precision, or after the files were copied: a load then
/// takes milliseconds and its memory is shared with the file. The file is hashed once and the check recorded beside it. Precision and kernels are chosen as the server chooses them, so run it on the server's machine.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,

    /// Only where loading would not find them packed and checked; end with the process that started this one
    #[arg(long, hide = true)]
    if_needed: bool,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder pack --model model
  pinterest-embedder pack --model model --precision f32

Prints the path of the file. Where the model is computed by candle, which reads the
checkpoint itself, there is none to write; that is no failure.";

pub fn run(arguments: Arguments) -> Outcome {
    let options = arguments.model.options();
    if arguments.if_needed {
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // Of several that start at once one packs, and the others find it done.
        let directory = File::open(&arguments.model.directory)?;
        flock(&directory, FlockOperation::LockExclusive)?;
        // Takes over what is right, and records that it is.
        clip::load(&arguments.model.directory, &options).map_err(Failure::from)?;
        return Ok(ExitCode::SUCCESS);
    }
    match clip::pack(&arguments.model.directory, &options).map_err(Failure::from)? {
        Some(path) => println!("{}", path.display()),
        None => log::line(format_args!("nothing to write: candle reads the checkpoint itself")),
    }
    Ok(ExitCode::SUCCESS)
}
