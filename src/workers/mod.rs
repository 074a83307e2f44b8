//! Background workers. `registry` knows the kinds and starts or wakes them; `presence` is the shared memory in which they
//! are entered, `pause` keeps them out of a database, `deaths` from starting again and again to die; `process` is what all
//! share; each kind has its own file; `bridge` is how asynchronous code on the network thread reaches the database on the
//! main one.

mod answers;
mod bridge;
mod chores;
pub mod connect;
mod database;
mod deaths;
mod embedding;
mod farewell;
mod import;
mod launcher;
mod main_thread;
mod network;
mod outcome;
pub mod pause;
mod presence;
mod process;
mod refresh;
pub mod registry;
pub mod requests;
mod stay;
mod supervisor;
mod track;
mod tracking;
mod transaction;

pub use presence::reserve as reserve_shared_memory;
