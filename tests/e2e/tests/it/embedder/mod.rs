//! The embedder: its deaths, its settings, its model.

mod deaths;
mod model;
mod poison;
mod reembed;
mod settings;
