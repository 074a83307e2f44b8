//! Background workers. One file for each process, and below them what they share:
//!
//! | process | entry point | does |
//! |---|---|---|
//! | launcher, one per cluster | `launcher` | starts a database worker wherever one may have work |
//! | supervisor, one per cluster | `supervisor` | runs the embedder's process |
//! | database worker | `database` | imports, refreshes of tokens, housekeeping |
//! | tracking worker | `tracking` | rows of tracked columns, and so the code of their tables' owners |
//!
//! - The registry: `kind` names the kinds of worker, `registry` starts and wakes them, `presence` is the shared memory that
//!   lists the running ones, `finding` is a worker's report to the launcher, `deaths` delays a worker that crashed, `pause`
//!   keeps workers out of a database.
//! - Each process: `worker_process` starts it, `shutdown` ends it, `lifetime` decides when a worker without work ends,
//!   `log` writes lines to the server's log.
//! - Threads of the database worker and the tracking worker: `main_thread` runs the transactions (`jobs`, `transaction`),
//!   because only the main thread may use Postgres; `network` is the thread of the asynchronous tasks, which share a
//!   `context`. A third thread, in `shutdown`, ends the process if the main thread is stuck.
//! - Tasks of the database worker: `import`, `refresh` (answers from Pinterest are stored by `answers`, `in_hand` counts what
//!   is unfinished), `refresh_socket` and `connect` for requests of sessions, `housekeeping`. Of the tracking worker:
//!   `track`. Both send inputs to the embedder through `embedding`.

mod answers;
pub mod connect;
mod context;
mod database;
mod deaths;
mod embedding;
mod finding;
mod housekeeping;
mod import;
mod in_hand;
mod jobs;
mod kind;
mod launcher;
mod lifetime;
mod log;
mod main_thread;
mod network;
pub mod pause;
mod presence;
mod refresh;
pub mod refresh_socket;
pub mod registry;
mod shutdown;
mod siblings;
mod supervisor;
mod track;
mod tracking;
mod transaction;
mod worker_process;

pub use presence::reserve as reserve_shared_memory;
