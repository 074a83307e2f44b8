use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clip::{Kernels, Limits, Options, Precision};

use super::Outcome;
use super::model::ModelArguments;
use crate::packing::Packing;
use crate::sandbox::{self, Needs};
use crate::verify::{Findings, Report, Subject};

/// Check that a model's weights are trained, and are those of openai/clip-vit-base-patch32.
///
/// Compares embeddings with figures that other projects have published, and checks what any trained CLIP shows: statistics of
/// its weights, texts of like meaning, and captions of pictures that are part of this program. Both in the precision that a
/// server uses on this machine and in f32. Needs no server and no network, and takes some seconds.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,

    /// COCO's image 000000039769.jpg, two cats on a couch, whose logits are published; it is not part of this program
    #[arg(long, visible_alias = "image", value_name = "FILE")]
    picture: Option<PathBuf>,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder verify --model model
  pinterest-embedder verify --model model --picture 000000039769.jpg --json

Prints one line per check (ok, note, failed or skipped), and what they mean.

Exit status: 0 if no check failed, 1 otherwise.";

pub fn run(arguments: Arguments) -> Outcome {
    let options = arguments.model.options();
    Packing::start(&arguments.model.directory, &options).wait();
    let files: Vec<PathBuf> = arguments.picture.clone().into_iter().collect();
    sandbox::enter(&Needs {
        model: &arguments.model.directory,
        files: &files,
        socket_directory: None,
        graphics: arguments.model.uses_graphics(),
    });
    let picture = arguments.picture.map(|path| {
        let mut bytes = Vec::new();
        let limit = Limits::default().max_bytes as u64 + 1;
        File::open(&path)
            .and_then(|file| file.take(limit).read_to_end(&mut bytes))
            .map(|_| bytes)
            .map_err(|error| format!("could not read \"{}\": {error}", path.display()))
    });
    let engines = [options.clone(), reference(options)];
    let subject = Subject { model: &arguments.model.directory, engines: &engines, picture: picture.transpose()? };
    let report = Report::on(&Findings::gather(&subject));
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    Ok(if report.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The engine to compare with: f32 by candle, code that has nothing in common with the kernels.
fn reference(options: Options) -> Options {
    let kernels = cfg!(feature = "candle").then_some(Kernels::Candle);
    Options { precision: Precision::F32, kernels, ..options }
}
