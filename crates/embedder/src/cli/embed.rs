use std::fs::File;
use std::io::{self, Read, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::Args;
use clip::{Animations, Embedding, Engine, Limits, Pixels, Tokenizer};
use embedder::ErrorKind;
use serde::Serialize;

use super::Outcome;
use super::limits::LimitArguments;
use super::model::ModelArguments;
use crate::failure::Failure;
use crate::inference::{self, BATCH};
use crate::model;
use crate::packing::Packing;
use crate::sandbox::{self, Needs};

/// Print the embeddings of images or texts as JSON, one line each.
///
/// A line is {"name":…,"embedding":[512 numbers]} or {"name":…,"error":…}, in the order of the arguments. The name is the
/// file name as given, or the text itself.
///
/// Before it reads the first file, the process gives up the right to open other files and to reach other processes.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,

    #[command(flatten)]
    limits: LimitArguments,

    /// Images (JPEG, PNG, WebP, or GIF; the first frame of an animation); - reads one from standard input
    #[arg(value_name = "FILE", required_unless_present = "text", conflicts_with = "text")]
    files: Vec<PathBuf>,

    /// Texts instead of images; - reads one per line from standard input
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    text: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder embed --model model photo.jpg other.webp
  pinterest-embedder embed --model model - < photo.jpg
  pinterest-embedder embed --model model --text \"a barn with string lights\"
  pinterest-embedder embed --model model --text - < one-text-per-line.txt

Exit status: 0 if all inputs were embedded, 1 if any of them failed. All inputs are tried.";

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    #[serde(flatten)]
    result: Printed<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Printed<'a> {
    Embedding(&'a [f32]),
    Error(String),
}

pub fn run(arguments: Arguments) -> Outcome {
    let options = arguments.model.options();
    Packing::start(&arguments.model.directory, &options).wait();
    sandbox::enter(&Needs {
        model: &arguments.model.directory,
        files: &arguments.files,
        socket_directory: None,
        graphics: arguments.model.uses_graphics(),
    });
    let (mut engine, _) = model::load(&arguments.model.directory, &options)?;
    let mut output = Output::default();
    if arguments.text.is_empty() {
        embed_files(&mut *engine, &arguments.files, &arguments.limits.limits(None), &mut output)?;
    } else {
        embed_texts(&mut *engine, arguments.text, &mut output)?;
    }
    Ok(match output.any_failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Decodes the files of the next batch while the model computes one.
fn embed_files(engine: &mut dyn Engine, files: &[PathBuf], limits: &Limits, output: &mut Output) -> io::Result<()> {
    let mut chunks = files.chunks(BATCH);
    let mut decoded = chunks.next().map(|chunk| decode(chunk, limits));
    while let Some(inputs) = decoded {
        let next = chunks.next();
        decoded = thread::scope(|scope| {
            let decoder = thread::Builder::new().name("decode".to_owned());
            let decoding = next.map(|chunk| decoder.spawn_scoped(scope, || decode(chunk, limits))).transpose()?;
            output.print(inputs, |pixels| inference::embed_images(engine, pixels))?;
            Ok::<_, io::Error>(decoding.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))))
        })?;
    }
    Ok(())
}

/// The pixels of each file, one after another: the largest images take much memory.
fn decode(files: &[PathBuf], limits: &Limits) -> Vec<(String, Result<Pixels, Failure>)> {
    let decode =
        |path| Ok(inference::decode(&read_image(path, limits)?, limits, Animations::FirstFrame, false)?.pixels);
    files.iter().map(|path| (path.to_string_lossy().into_owned(), decode(path))).collect()
}

fn embed_texts(engine: &mut dyn Engine, texts: Vec<String>, output: &mut Output) -> io::Result<()> {
    let tokenizer = Tokenizer::new();
    let mut all = Vec::new();
    for text in texts {
        match text.as_str() {
            "-" => all.extend(io::read_to_string(io::stdin())?.lines().map(str::to_owned)),
            _ => all.push(text),
        }
    }
    for chunk in all.chunks(BATCH) {
        let inputs = chunk.iter().map(|text| (text.clone(), inference::tokenize(&tokenizer, text))).collect();
        output.print(inputs, |tokens| inference::embed_texts(engine, tokens))?;
    }
    Ok(())
}

/// Reads at most one byte more than the limit.
fn read_image(path: &Path, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let limit = limits.max_bytes as u64 + 1;
    let mut image = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().take(limit).read_to_end(&mut image)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut image))
    };
    match read {
        Ok(_) => Ok(image),
        // The output line contains the file name.
        Err(error) => Err(Failure::new(ErrorKind::Malformed, error.to_string())),
    }
}

#[derive(Default)]
struct Output {
    any_failed: bool,
}

impl Output {
    /// Embeds the inputs that could be prepared, in one batch, and prints one line per input, in order.
    fn print<Input>(
        &mut self,
        inputs: Vec<(String, Result<Input, Failure>)>,
        embed: impl FnOnce(&[Input]) -> Vec<Result<Embedding, Failure>>,
    ) -> io::Result<()> {
        let mut prepared = Vec::with_capacity(inputs.len());
        let mut lines = Vec::with_capacity(inputs.len());
        for (name, input) in inputs {
            let failure = match input {
                Ok(input) => {
                    prepared.push(input);
                    None
                }
                Err(failure) => Some(failure),
            };
            lines.push((name, failure));
        }
        let mut results = embed(&prepared).into_iter();
        let mut out = io::stdout().lock();
        for (name, failure) in lines {
            let result = match failure {
                Some(failure) => Err(failure),
                None => results.next().unwrap_or_else(|| unreachable!("one result per prepared input: this is a bug")),
            };
            self.any_failed |= result.is_err();
            let printed = match &result {
                Ok(embedding) => Printed::Embedding(embedding.as_slice()),
                Err(failure) => Printed::Error(failure.to_string()),
            };
            serde_json::to_writer(&mut out, &Line { name: &name, result: printed })?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}
