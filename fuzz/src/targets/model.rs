//! The embedder's input: images, texts, files of a model.

use std::sync::LazyLock;

use clip::fuzzing::{Shape, rewrite_packed_header};
use clip::{Animations, CONTEXT_LENGTH, ErrorKind, Limits, Prepared, SIDE, ThumbnailSize, Tokenizer};

use crate::input::{assert_storable, split};

/// Small, so that an input takes milliseconds.
const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_pixels: 200_000, max_side: 2_048, max_memory: 16 << 20 };

/// An encoded image.
pub fn picture(input: &[u8]) {
    let measure = clip::measure(input, &LIMITS);
    let prepared = clip::prepare(input, &LIMITS, Animations::FirstFrame);
    let size = ThumbnailSize { side: 40, bytes: 8192 };
    let both = clip::prepare_with_thumbnail(input, &LIMITS, Animations::FirstFrame, Some(size));
    match (&prepared, both) {
        (Ok(alone), Ok(both)) => {
            assert_eq!(both.pixels, alone.pixels, "a thumbnail changes the model's input");
            if let Some(thumbnail) = both.thumbnail {
                assert!(thumbnail.len() <= size.bytes);
                let (width, height, _) = clip::decoded(&thumbnail, &LIMITS).expect("a thumbnail is an image");
                assert!(width.max(height) <= 40);
            }
        }
        (Err(_), Err(_)) => {}
        _ => panic!("a thumbnail decides whether an image is refused"),
    }
    match clip::prepare(input, &LIMITS, Animations::Refuse) {
        Ok(still) => assert!(
            !still.animated && prepared.as_ref().ok() == Some(&still),
            "a still image depends on the treatment of animations"
        ),
        Err(error) if error.kind() == ErrorKind::Animated => {
            assert!(
                prepared.as_ref().map_or(true, |first| first.animated),
                "an image refused as an animation is not animated"
            );
        }
        Err(_) => assert!(prepared.is_err(), "an image is refused only if animations are, but not as an animation"),
    }
    match prepared {
        Ok(Prepared { pixels, .. }) => {
            let measure = measure.expect("an image over a limit was decoded");
            assert!(measure.pixels() <= LIMITS.max_pixels && measure.memory <= LIMITS.max_memory);
            assert_eq!(pixels.as_slice().len(), 3 * SIDE * SIDE);
            // The normalised values of black and white, for each channel.
            assert!(pixels.as_slice().iter().all(|value| (-1.8..2.2).contains(value)), "a value out of range");
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains("panicked"), "{shown}");
            assert!(shown.len() < 4_096, "a message of {} bytes", shown.len());
            assert_storable(&shown);
        }
    }
}

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);

/// A text to embed.
pub fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(tokens) = TOKENIZER.encode(text) {
        assert!((2..=CONTEXT_LENGTH).contains(&tokens.len()));
        assert_eq!((tokens[0], tokens[tokens.len() - 1]), (49_406, 49_407));
        assert!(tokens.iter().all(|&token| token <= 49_407));
    }
}

/// Files of a model's directory; the first byte selects the file.
pub fn model_files(input: &[u8]) {
    let ([which], file) = split(input);
    match which % 3 {
        0 => config(file),
        1 => {
            // The smallest shape, so that mutations can reach a valid header.
            let shape = Shape::read(TINY).expect("a valid shape");
            if let Err(error) = shape.weights(file) {
                assert!(error.to_string().len() < 4_096);
            }
        }
        _ => {
            if let Some(header) = rewrite_packed_header(file) {
                assert!(file.starts_with(&header), "a header has changed");
            }
        }
    }
}

const TINY: &[u8] = br#"{"text_config": {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 1,
    "num_hidden_layers": 1}, "vision_config": {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 1,
    "num_hidden_layers": 1}}"#;

fn config(json: &[u8]) {
    match Shape::read(json) {
        Ok(shape) => {
            let written = shape.to_json();
            let again = Shape::read(&written).expect("a shape's own text cannot be parsed");
            assert!(again.to_json() == written, "a shape has changed");
            if let Some(lengths) = shape.packed_lengths() {
                assert!(lengths[0] > 0 && lengths[1] <= lengths[0] && lengths[2] <= lengths[0], "{lengths:?}");
            }
        }
        Err(reason) => assert!(reason.len() < 1_024, "a reason of {} bytes", reason.len()),
    }
}
