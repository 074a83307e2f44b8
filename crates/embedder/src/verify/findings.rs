//! What is found about a model, before it is judged.

use std::path::Path;

use clip::verify::{self, Beginning, Files, Group, Training, Vocabulary};
use clip::{Animations, Engine, Limits, Options, Pixels, Tokenizer};
use embedder::ErrorKind;

use crate::failure::Failure;
use crate::{inference, model};

/// What to examine.
pub struct Subject<'a> {
    /// The model's directory.
    pub model: &'a Path,
    /// How to compute; two that turn out to be the same engine are one.
    pub engines: &'a [Options],
    /// COCO's image 000000039769, if it is at hand.
    pub picture: Option<Vec<u8>>,
}

/// What was found.
pub struct Findings {
    /// The weights file as a whole.
    pub files: Result<Files, Failure>,
    /// The vocabulary beside it.
    pub vocabulary: Vocabulary,
    /// The marks of training; not looked for if the files cannot be read.
    pub training: Option<Result<Training, Failure>>,
    /// Results of each engine; none if the files cannot be read.
    pub engines: Vec<Computed>,
}

/// An engine, and what it computed.
pub struct Computed {
    /// Precision and kernels, in words.
    pub name: String,
    /// The name of its precision.
    pub precision: String,
    pub figures: Result<Figures, Failure>,
}

/// What an engine computed.
pub struct Figures {
    /// The beginning of the embedding of the published text.
    pub numbers: [f32; 5],
    pub beginning: Beginning,
    /// Texts whose partner is nearest, and all.
    pub partners: (usize, usize),
    /// Pictures whose caption is nearest, and all, by group.
    pub captions: Vec<(Group, usize, usize)>,
    /// The logits of the published image, if it was given.
    pub logits: Option<Result<[f64; 2], Failure>>,
}

impl Findings {
    /// Examines a model.
    pub fn gather(subject: &Subject<'_>) -> Self {
        let tokenizer = Tokenizer::new();
        let files = verify::files(subject.model).map_err(Failure::from);
        let vocabulary = verify::vocabulary(subject.model, &tokenizer);
        let training = files.is_ok().then(|| verify::training(subject.model).map_err(Failure::from));
        let mut engines: Vec<Computed> = Vec::new();
        if files.is_ok() {
            for options in subject.engines {
                engines.extend(compute(subject, options, &tokenizer, &engines));
            }
        }
        Self { files, vocabulary, training, engines }
    }

    /// Figures of all engines that computed any.
    pub fn figures(&self) -> impl Iterator<Item = (&Computed, &Figures)> {
        self.engines.iter().filter_map(|engine| Some((engine, engine.figures.as_ref().ok()?)))
    }
}

/// `None` if one of the `others` is the same engine.
fn compute(subject: &Subject<'_>, options: &Options, tokenizer: &Tokenizer, others: &[Computed]) -> Option<Computed> {
    let (mut engine, precision, name) = match model::load(subject.model, options) {
        Ok((engine, model)) => {
            let name = format!("{} by {}", model.precision, model.kernels);
            (engine, model.precision, name)
        }
        Err(failure) => {
            let name = options.kernels.map_or_else(String::new, |kernels| format!(" by {kernels}"));
            let precision = options.precision.to_string();
            return Some(Computed { name: format!("{precision}{name}"), precision, figures: Err(failure) });
        }
    };
    if others.iter().any(|other| other.name == name) {
        return None;
    }
    let figures = figures(subject, &mut *engine, tokenizer, &precision);
    Some(Computed { name, precision, figures })
}

fn figures(
    subject: &Subject<'_>,
    engine: &mut dyn Engine,
    tokenizer: &Tokenizer,
    precision: &str,
) -> Result<Figures, Failure> {
    let (hello, published) = verify::HELLO_WORLD;
    let hello = texts(engine, tokenizer, &[hello])?.remove(0);
    let mut numbers = [0.0; 5];
    numbers.copy_from_slice(&hello.as_slice()[..5]);

    let like = texts(engine, tokenizer, &verify::texts())?;

    let pictures = verify::pictures();
    let inputs: Vec<Pixels> = pictures.iter().map(verify::Picture::pixels).collect();
    let images = images(engine, &inputs)?;
    let captions: Vec<&str> = pictures.iter().map(|picture| picture.caption).collect();
    let captions = texts(engine, tokenizer, &captions)?;
    let nearest = verify::captions(&pictures, &images, &captions);
    let captions = Group::ALL.map(|group| {
        let of_group = || pictures.iter().zip(&nearest).filter(|(picture, _)| picture.group == group);
        (group, of_group().filter(|(_, nearest)| **nearest).count(), of_group().count())
    });

    let logits = subject.picture.as_deref().map(|picture| logits(engine, tokenizer, picture));
    Ok(Figures {
        beginning: verify::beginning(&numbers, &published, verify::tolerance(precision).number),
        numbers,
        partners: (verify::partners(&like), like.len()),
        captions: captions.to_vec(),
        logits,
    })
}

fn logits(engine: &mut dyn Engine, tokenizer: &Tokenizer, picture: &[u8]) -> Result<[f64; 2], Failure> {
    let limits = Limits::default();
    let prepared = inference::decode(picture, &limits, Animations::FirstFrame, false)?;
    let (number, width, height) = verify::CAT_PHOTO;
    let (found_width, found_height, _) = clip::decoded(picture, &limits)?;
    if (found_width, found_height) != (width, height) {
        return Err(Failure::new(
            ErrorKind::Malformed,
            format!("the image has {found_width} x {found_height} pixels, COCO's {number} has {width} x {height}"),
        ));
    }
    let image = images(engine, &[prepared.pixels])?.remove(0);
    let captions = texts(engine, tokenizer, &verify::CAT_AND_DOG.map(|(caption, _)| caption))?;
    Ok([verify::logit(&image, &captions[0]), verify::logit(&image, &captions[1])])
}

fn texts(engine: &mut dyn Engine, tokenizer: &Tokenizer, texts: &[&str]) -> Result<Vec<clip::Embedding>, Failure> {
    let tokens = texts.iter().map(|text| inference::tokenize(tokenizer, text)).collect::<Result<Vec<_>, _>>()?;
    inference::embed_texts(engine, &tokens).into_iter().collect()
}

fn images(engine: &mut dyn Engine, images: &[Pixels]) -> Result<Vec<clip::Embedding>, Failure> {
    inference::embed_images(engine, images).into_iter().collect()
}
