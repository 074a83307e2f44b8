//! `pinterest-embedder`.
fn main() {}
