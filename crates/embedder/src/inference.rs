//! Embeds a batch: as many results as inputs, even if some of them fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use clip::{
    Animations, AtBreak, Embedding, Engine, Error, Limits, Measure, Pixels, Prepared, TextEngine, ThumbnailSize,
    Tokenizer,
};
use embedder::{ErrorKind, MAX_THUMBNAIL_BYTES, MOST_THUMBNAIL_SIDE, THUMBNAIL_SIDE};

use crate::failure::Failure;

/// Inputs of one forward pass unless a user would wait for its end. Eight make the reference engine half as fast again as one,
/// and keep all threads of any engine busy; more do not help.
pub const BATCH: usize = 8;

/// Decodes and prepares one image, with the thumbnail that is made with embeddings if `wants_thumbnail`. If the decoder
/// panics, the image has failed.
pub fn decode(
    image: &[u8],
    limits: &Limits,
    animations: Animations,
    wants_thumbnail: bool,
) -> Result<Prepared, Failure> {
    let prepared = catch_unwind(|| {
        #[cfg(feature = "fault-injection")]
        crate::fault::panic_if_requested(image);
        let thumbnail = wants_thumbnail.then(|| size_of_thumbnail(THUMBNAIL_SIDE));
        clip::prepare_with_thumbnail(image, limits, animations, thumbnail)
    });
    match prepared {
        Ok(prepared) => Ok(prepared?),
        Err(_) => Err(Failure::new(ErrorKind::Malformed, "the image decoder panicked")),
    }
}

/// The thumbnail of one image; empty if none can be made.
pub fn thumbnail(image: &[u8], limits: &Limits, side: u16) -> Result<Bytes, Failure> {
    match catch_unwind(|| clip::thumbnail(image, limits, size_of_thumbnail(side.min(MOST_THUMBNAIL_SIDE)))) {
        Ok(thumbnail) => Ok(thumbnail?.unwrap_or_default().into()),
        Err(_) => Err(Failure::new(ErrorKind::Malformed, "the image decoder panicked")),
    }
}

fn size_of_thumbnail(side: u16) -> ThumbnailSize {
    ThumbnailSize { side: side.into(), bytes: MAX_THUMBNAIL_BYTES }
}

/// What decoding an image would cost; `None` if its headers are invalid or exceed a limit. Decoding then fails and reports
/// why.
pub fn measure(image: &[u8], limits: &Limits) -> Option<Measure> {
    catch_unwind(|| clip::measure(image, limits)).ok()?.ok()
}

/// Tokenizes one text.
pub fn tokenize(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Failure> {
    match catch_unwind(AssertUnwindSafe(|| tokenizer.encode(text))) {
        Ok(tokens) => Ok(tokens?),
        Err(_) => Err(Failure::new(ErrorKind::Inference, "the tokenizer panicked")),
    }
}

/// One result per image, in order.
pub fn embed_images(engine: &mut dyn Engine, images: &[Pixels]) -> Vec<Result<Embedding, Failure>> {
    embed_images_with_breaks(engine, images, &mut |_| ())
}

/// One result per image, in order. `at_break` is called between steps of the pass, on any thread.
pub fn embed_images_with_breaks(
    engine: &mut dyn Engine,
    images: &[Pixels],
    at_break: &mut AtBreak<'_>,
) -> Vec<Result<Embedding, Failure>> {
    embed(images, |part| engine.embed_images_with_breaks(part, at_break))
}

/// One result per text, in order.
pub fn embed_texts(engine: &mut dyn TextEngine, texts: &[Vec<u32>]) -> Vec<Result<Embedding, Failure>> {
    embed(texts, |part| engine.embed_texts(part))
}

/// Runs the whole batch, or, if that fails, each member alone, so that one bad member does not fail the others.
fn embed<Input, Output>(
    inputs: &[Input],
    mut pass: impl FnMut(&[Input]) -> Result<Vec<Output>, Error>,
) -> Vec<Result<Output, Failure>> {
    let mut run = |part: &[Input]| match catch_unwind(AssertUnwindSafe(|| pass(part))) {
        Ok(Ok(outputs)) if outputs.len() == part.len() => Ok(outputs),
        Ok(Ok(outputs)) => Err(Failure::new(
            ErrorKind::Inference,
            format!("{} inputs returned {} embeddings", part.len(), outputs.len()),
        )),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Failure::new(ErrorKind::Inference, "the forward pass panicked")),
    };
    match run(inputs) {
        Ok(outputs) => outputs.into_iter().map(Ok).collect(),
        Err(failure) if inputs.len() == 1 => vec![Err(failure)],
        Err(_) => inputs.chunks(1).map(|single| run(single).map(|mut outputs| outputs.remove(0))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_member_does_not_spoil_the_batch() {
        let mut passes = 0;
        let results = embed(&[1, 2, 13, 4], |part| {
            passes += 1;
            assert!(!part.contains(&13), "unlucky");
            Ok(part.iter().map(|number| number * 10).collect())
        });
        let results: Vec<_> = results.into_iter().map(|result| result.ok()).collect();
        assert_eq!(results, [Some(10), Some(20), None, Some(40)]);
        assert_eq!(passes, 5);
    }

    #[test]
    fn a_missing_output_is_a_failure_not_a_shift() {
        let results = embed(&[1, 2, 3], |part| Ok(part[..part.len() - 1].to_vec()));
        assert_eq!(results.len(), 3);
        assert!(results.iter().all(Result::is_err));
    }

    #[test]
    fn an_empty_batch_has_no_results() {
        assert!(embed(&[] as &[i32], |_| Ok(Vec::<i32>::new())).is_empty());
    }
}
