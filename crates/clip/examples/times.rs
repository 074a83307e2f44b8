//! Where the time from a file to its vector goes: reading a JPEG, reducing it to the model's window, a thumbnail beside it, and
//! the model. All are measured in turn in one run. Times are the best of the rounds, and the ratio is the median of theirs, since
//! other work on the machine slows both of its sides.
//!
//! ```text
//! times MODEL ROUNDS
//! ```

#[path = "../../../tests/fixtures/scenes.rs"]
#[allow(dead_code, reason = "one of the motifs is enough")]
mod scenes;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use clip::{Animations, Limits, Options, ThumbnailSize};

use crate::scenes::{Motif, draw, jpeg};

/// As the embedder makes it for an import.
const THUMBNAIL: ThumbnailSize = ThumbnailSize { side: 320, bytes: 64 << 10 };

/// The image host's sizes of an upright photograph.
const SIZES: [(u32, u32); 2] = [(1200, 1800), (600, 900)];

/// Images in a pass of the model.
const PASS: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rounds] = &arguments[..] else { panic!("times MODEL ROUNDS") };
    let rounds: usize = rounds.parse().expect("a number");
    let options = Options { threads: NonZeroUsize::MIN, ..Options::default() };
    let mut engine = clip::load(Path::new(model), &options).expect("a model");
    println!("{:?}", engine.info());
    let limits = Limits::default();
    for (width, height) in SIZES {
        let bytes = &jpeg(&draw(Motif::Grain, width, height), 80.0);
        let mut times: [Vec<f64>; 5] = Default::default();
        let mut ratios = vec![];
        for _ in 0..rounds {
            let mut time = |step: usize, work: &mut dyn FnMut()| {
                let began = Instant::now();
                work();
                times[step].push(1000.0 * began.elapsed().as_secs_f64());
            };
            time(0, &mut || drop(clip::decoded(bytes, &limits)));
            time(1, &mut || drop(clip::window(bytes, &limits)));
            let mut prepared = None;
            time(2, &mut || prepared = clip::prepare(bytes, &limits, Animations::FirstFrame).ok());
            time(3, &mut || {
                drop(clip::prepare_with_thumbnail(bytes, &limits, Animations::FirstFrame, Some(THUMBNAIL)));
            });
            let pixels = vec![prepared.expect("it is a picture").pixels; PASS];
            time(4, &mut || drop(engine.embed_images(&pixels)));
            let last = |step: usize| times[step].last().copied().unwrap_or_default();
            ratios.push(last(3) / last(2));
        }
        let [decode, window, prepare, thumbnail, pass] =
            times.map(|times| times.into_iter().fold(f64::INFINITY, f64::min));
        println!(
            "{width} x {height}, {} bytes; best times in ms: decode {decode:.2}, decode and resize {window:.2}, prepare {prepare:.2}, \
             with a thumbnail {thumbnail:.2} (ratio {:.2}), model {:.2}",
            bytes.len(),
            median(ratios),
            pass / PASS as f64
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
