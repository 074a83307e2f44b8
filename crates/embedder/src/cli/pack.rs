use std::process::ExitCode;

use clap::Args;

use super::Outcome;
use super::model::ModelArguments;
use crate::failure::Failure;
use crate::log;

/// Write a model's weights as the fast kernels read them, beside the model.
///
/// Loading does so by itself where it may write the directory. Where the server's user may not, whoever owns the directory
/// runs this once, and again after a change of the model or of the precision: a load then takes milliseconds and its memory
/// is shared with the file. Precision and kernels are chosen as the server chooses them, so run it on the server's machine.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder pack --model model
  pinterest-embedder pack --model model --precision f32

Prints the path of the file. Where the model is computed by candle, which reads the
checkpoint itself, there is none to write; that is no failure.";

pub fn run(arguments: Arguments) -> Outcome {
    let options = arguments.model.options();
    match clip::pack(&arguments.model.directory, &options).map_err(Failure::from)? {
        Some(path) => println!("{}", path.display()),
        None => log::line(format_args!("nothing to write: candle reads the checkpoint itself")),
    }
    Ok(ExitCode::SUCCESS)
}
