//! Fuzz targets: one function per parser of foreign bytes, which panics if a guarantee of the parser does not hold.
//!
//! `make fuzz` runs them under libFuzzer, guided by coverage (`programs/`). `tests/replay.rs` runs each with its committed
//! corpus and seeded mutations of it, with every `make test`.

pub mod corpus;
mod input;
pub mod targets;

/// A target. Its corpus and its program have the same name.
pub struct Target {
    /// The directory in `corpus` and the program in `programs`.
    pub name: &'static str,
    /// Panics if the input shows a fault.
    pub run: fn(&[u8]),
    /// Number of mutations in `make test`: fewer if each takes long.
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
