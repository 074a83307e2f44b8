//! Background workers. `registry` knows the three kinds and finds or starts them; `process` is what all share; each
//! kind has its own file; `bridge` is how asynchronous code on the network thread reaches the database on the main one.

mod bridge;
mod chores;
mod database;
mod embedding;
mod farewell;
mod import;
mod launcher;
mod network;
mod process;
mod refresh;
pub mod registry;
pub mod requests;
mod supervisor;
mod track;
mod transaction;
