//! The embedder: crashes, settings and models.

mod deaths;
mod elsewhere;
mod model;
mod poison;
mod reembed;
mod settings;
mod untrained;
