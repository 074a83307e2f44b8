//! Damaged files: refused or decoded, never a panic.

use std::sync::LazyLock;

use clip::{Error, Limits, Tokenizer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support;

/// Small files that together cover the paths of each decoder.
const SEEDS: [&str; 18] = [
    "exif-6.jpg",
    "grey.jpg",
    "progressive.jpg",
    "cmyk.jpg",
    "tiny.png",
    "palette.png",
    "alpha.png",
    "sixteen-bit.png",
    "lossy.webp",
    "lossless.webp",
    "alpha.webp",
    "animated.png",
    "../containers/exif-after.png",
    "../containers/colours-3-4-interlaced.png",
    "../containers/one-clear-frame-on-a-canvas.webp",
    "../containers/exif-before.webp",
    "../containers/interlaced.gif",
    "../containers/frames-on-a-screen.gif",
];

/// Panics of decoders are turned into errors, but are still defects.
fn caught_a_panic(result: &Result<clip::Pixels, Error>) -> bool {
    result.as_ref().is_err_and(|error| error.to_string().contains("panicked"))
}

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes(name in select(&SEEDS[..]), changes in vec((any::<Index>(), any::<u8>()), 1..12)) {
        let mut bytes = support::picture(name);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        prop_assert!(!caught_a_panic(&clip::preprocess(&bytes, &Limits::default())), "{name}");
    }

    #[test]
    fn a_piece_cut_out(name in select(&SEEDS[..]), from in any::<Index>(), length in 1usize..2_000) {
        let mut bytes = support::picture(name);
        let from = from.index(bytes.len());
        let end = (from + length).min(bytes.len());
        bytes.drain(from..end);
        prop_assert!(!caught_a_panic(&clip::preprocess(&bytes, &Limits::default())), "{name}");
    }

    #[test]
    fn text_of_any_kind(text in any::<String>()) {
        if let Ok(tokens) = TOKENIZER.encode(&text) {
            prop_assert!(tokens.len() >= 2 && tokens.len() <= clip::CONTEXT_LENGTH);
            prop_assert_eq!(tokens.last(), Some(&49407));
        }
    }
}
