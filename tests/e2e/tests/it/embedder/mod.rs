//! The embedder: crashes, settings and models.

mod deaths;
mod model;
mod poison;
mod reembed;
mod settings;
mod untrained;
