//! `pinterest-embedder`: CLIP embeddings from the shell, and as a server on a Unix socket.

mod cli;
mod failure;
#[cfg(feature = "fault-injection")]
mod fault;
mod front;
mod gateway;
mod inference;
mod log;
mod model;
mod packing;
mod sandbox;
mod server;
mod tls;
mod verify;

#[cfg(all(feature = "fault-injection", not(debug_assertions)))]
compile_error!("the feature `fault-injection` makes a program that crashes on request: debug builds only");

fn main() -> std::process::ExitCode {
    log::hide_panic_payloads();
    cli::run()
}
