//! Keeps pgrx's schema entries in the library.
//!
//! They are in a separate section without references, which some linkers drop. cargo-pgrx prevents that with RUSTFLAGS, which
//! compiles every dependency again; this argument applies to this library only.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--no-gc-sections");
    }
}
