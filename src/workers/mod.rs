//! Background workers. `registry` knows the kinds and starts or wakes them; `presence` is the shared memory in which they
//! are entered, `pause` keeps them out of a database, `deaths` from starting again and again to die; `process` is what all
//! share; each kind has its own file; `bridge` is how asynchronous code on the network thread reaches the database on the
//! main one.

mod answers;
pub mod connect;
mod database;
mod deaths;
mod embedding;
mod housekeeping;
mod import;
mod jobs;
mod launcher;
mod lifetime;
mod main_thread;
mod network;
mod outcome;
pub mod pause;
mod presence;
mod refresh;
pub mod refresh_socket;
pub mod registry;
mod shutdown;
mod supervisor;
mod track;
mod tracking;
mod transaction;
mod worker_process;

pub use presence::reserve as reserve_shared_memory;
