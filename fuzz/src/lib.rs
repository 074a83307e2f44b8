//! Fuzz targets: one function for each reader of foreign bytes, that panics where what it promises does not hold.
//!
//! `make fuzz` runs them under libFuzzer, guided by coverage (`programs/`). `tests/replay.rs` runs each over its committed
//! corpus, and over seeded mutations of it, with every `make test`.

pub mod corpus;
mod input;
pub mod targets;

/// A target: a name, which its corpus and its program have too, and what runs it on an input.
pub struct Target {
    /// As in `corpus/{name}`.
    pub name: &'static str,
    /// Panics where the input shows a fault.
    pub run: fn(&[u8]),
    /// Inputs that a short round tries: fewer where each takes long.
    pub mutations: u32,
}

macro_rules! targets {
    ($($name:ident: $mutations:literal,)*) => {
        &[$(Target { name: stringify!($name), run: targets::$name, mutations: $mutations },)*]
    };
}

/// All targets.
pub const TARGETS: &[Target] = targets! {
    account: 20_000,
    app_secrets: 20_000,
    board_reference: 20_000,
    frames: 20_000,
    gallery: 5_000,
    grant: 20_000,
    headers: 20_000,
    key_ring: 20_000,
    listing: 5_000,
    model_files: 5_000,
    picture: 500,
    redact: 20_000,
    refusal: 10_000,
    sealed: 10_000,
    states: 20_000,
    text: 5_000,
    urls: 20_000,
};
