//! Throwaway Postgres clusters with pg_pinterest in them, for the end-to-end tests, the demo and the benchmark.
//!
//! - [`Cluster`] is a server with its own data directory and socket, removed when dropped.
//! - [`World`] is a cluster with a local Pinterest, the extension, a registered app and a connected account.
//! - [`wait_until`] waits for a published state instead of sleeping.
//!
//! Servers run from the private installation that `tools/stage` makes, as an unprivileged user even if root runs the
//! tests, and listen only on a Unix socket.

mod browser;
pub mod chaos;
mod checkout;
pub mod cluster;
pub mod imports;
mod installation;
pub mod measure;
mod model;
pub mod process;
pub mod release;
pub mod rounds;
pub mod scale;
mod server_file;
mod server_user;
pub mod sqlsmith;
pub mod tracking;
mod wait;
pub mod world;

pub use browser::Browser;
pub use checkout::{checkout, runtime_directory};
pub use cluster::{Cluster, Stop};
pub use installation::Installation;
pub use model::{Model, full_stand_in, other_tiny_stand_in, tiny_stand_in};
pub use server_file::ServerFile;
pub use server_user::ServerUser;
pub use wait::{wait_for, wait_until};
pub use world::World;

/// Results of the harness; the errors are for people to read.
pub type Result<T, E = anyhow::Error> = std::result::Result<T, E>;
