//! An engine of this crate, timed call by call.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clip::{Embedding, Engine, Options, Pixels, SIDE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Result;
use crate::arguments::Arguments;
use crate::protocol;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    /// Time `repeat` calls of `batch` inputs each.
    Time { kind: Kind, batch: usize, repeat: usize },
    /// Write the embeddings of all inputs to `path`, in calls of `batch`: little-endian f32, one after another.
    Embed { kind: Kind, batch: usize, path: PathBuf },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Images,
    Texts,
}

struct Peer {
    engine: Box<dyn Engine>,
    images: Vec<Pixels>,
    texts: Vec<Vec<u32>>,
    /// Where the next call begins among the inputs, so that small batches see all of them.
    next: usize,
}

pub fn answer(arguments: &Arguments) -> Result<()> {
    let options = Options {
        precision: arguments.required("precision")?,
        kernels: arguments.optional("kernels")?,
        threads: arguments.required("threads")?,
        ..Options::default()
    };
    let engine = clip::load(&arguments.required::<PathBuf>("model")?, &options)?;
    let info = engine.info();
    let ready = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "detail": info.precision,
        "kernels": { info.kernels.name(): 1 },
        "weights_sha256": info.weights_sha256,
    });
    let mut peer = Peer {
        images: read_images(&arguments.required::<PathBuf>("images")?)?,
        texts: serde_json::from_slice(&fs::read(arguments.required::<PathBuf>("tokens")?)?)?,
        engine,
        next: 0,
    };
    protocol::serve(&ready, |request| peer.answer(request))
}

impl Peer {
    fn answer(&mut self, request: Request) -> Result<Value> {
        match request {
            Request::Time { kind, batch, repeat } => {
                let mut seconds = Vec::with_capacity(repeat);
                for _ in 0..repeat {
                    let start = self.turn(kind, batch)?;
                    let began = Instant::now();
                    let embeddings = self.embed(kind, start..start + batch)?;
                    seconds.push(began.elapsed().as_secs_f64());
                    drop(embeddings);
                }
                Ok(json!({ "seconds": seconds }))
            }
            Request::Embed { kind, batch, path } => {
                let mut bytes = vec![];
                let count = self.count(kind);
                for start in (0..count).step_by(batch) {
                    for embedding in self.embed(kind, start..count.min(start + batch))? {
                        bytes.extend(embedding.as_slice().iter().flat_map(|value| value.to_le_bytes()));
                    }
                }
                fs::write(path, bytes)?;
                Ok(json!({}))
            }
        }
    }

    fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Images => self.images.len(),
            Kind::Texts => self.texts.len(),
        }
    }

    fn turn(&mut self, kind: Kind, batch: usize) -> Result<usize> {
        let count = self.count(kind);
        if batch > count {
            return Err(format!("a batch of {batch} of {count} inputs").into());
        }
        let start = if self.next + batch > count { 0 } else { self.next };
        self.next = start + batch;
        Ok(start)
    }

    fn embed(&mut self, kind: Kind, range: std::ops::Range<usize>) -> Result<Vec<Embedding>> {
        Ok(match kind {
            Kind::Images => self.engine.embed_images(&self.images[range])?,
            Kind::Texts => self.engine.embed_texts(&self.texts[range])?,
        })
    }
}

fn read_images(path: &Path) -> Result<Vec<Pixels>> {
    let bytes = fs::read(path)?;
    let (words, []) = bytes.as_chunks::<4>() else {
        return Err(format!("{} is cut off after {} bytes", path.display(), bytes.len()).into());
    };
    let values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    values
        .chunks(3 * SIDE * SIDE)
        .map(|image| Pixels::from_values(image.into()))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{} holds no images of 3 x {SIDE} x {SIDE}", path.display()).into())
}
