//! Keeps pgrx's schema entries in the library.
//!
//! They lie in a section of their own that nothing refers to, and some linkers drop it. cargo-pgrx would prevent that
//! with RUSTFLAGS, which compiles every dependency anew; this argument reaches the one library it is for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--no-gc-sections");
    }
}
