//! What tells the weights of a trained CLIP from others: of an untrained model, of another one, or damaged ones.
//!
//! - `marks`: statistics of the weights themselves, by which trained weights differ from random numbers. Computed at every load.
//! - `figures`: embeddings of `openai/clip-vit-base-patch32` that other projects have published.
//! - `meaning`: texts and drawn pictures, and which of them any trained CLIP finds alike.
//! - `files`: the whole weights file, and the vocabulary of a directory.
//!
//! Trained weights are not part of this project, so nothing here was fitted to them. The limits lie between what random
//! numbers reach by chance and what is known of every trained CLIP, with a wide margin on both sides.

mod figures;
mod files;
mod marks;
mod meaning;
mod pictures;

pub use figures::{
    Beginning, CAT_AND_DOG, CAT_PHOTO, Comparison, HELLO_WORLD, Tolerance, beginning, logit, logits_agree, tolerance,
};
pub use files::{Files, PUBLISHED_SHA256, Vocabulary, files, vocabulary};
pub use marks::{Mark, Training, training};
pub use meaning::{ENOUGH_PARTNERS, LIKE_TEXTS, partners, texts};
pub use pictures::{ENOUGH_CAPTIONS, Group, Picture, captions, pictures};
