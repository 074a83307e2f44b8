//! pg_pinterest: one SQL call imports a Pinterest board; workers list its pins, download the images, embed them with
//! CLIP and keep the tokens fresh; other calls rank a table's vectors against a board. This file wires, it decides
//! nothing.

// The only crate that talks to the server's C functions; each block says why it may.
#![allow(unsafe_code)]

mod api;
mod errors;
mod input_limits;
mod names;
mod owner;
mod owner_code;
#[cfg(any(test, feature = "pg_test"))]
mod pg_tests;
mod postgres;
mod rows;
mod secrets;
mod settings;
mod statistics;
mod store;
mod workers;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

extension_sql_file!("../sql/guard.sql", name = "guard", bootstrap);
extension_sql_file!("../sql/owner.sql", name = "owner", requires = ["guard"]);
extension_sql_file!("../sql/tables.sql", name = "tables", requires = ["owner"]);
extension_sql_file!("../sql/views.sql", name = "views", requires = ["tables"]);
extension_sql_file!("../sql/functions.sql", name = "functions", requires = ["views", pinterest_recommend_boards]);
extension_sql_file!("../sql/tracking.sql", name = "tracking", requires = ["functions"]);
extension_sql_file!("../sql/statistics.sql", name = "statistics", requires = ["tracking"]);
extension_sql_file!("../sql/surface.sql", name = "surface", finalize);

/// Called when the server loads the library. Nothing is created here: no thread, no runtime, no file.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    let preloading = postgres::platform::is_preloading();
    settings::define(preloading);
    if postgres::platform::is_binary_upgrade() {
        return;
    }
    postgres::threads::keep_panics_of_other_threads_short();
    workers::registry::watch_commits();
    if preloading {
        workers::reserve_shared_memory();
        statistics::reserve();
        workers::registry::Worker::Launcher.register_static();
        workers::registry::Worker::Supervisor.register_static();
    }
}

/// What `#[pg_test]` runs against.
#[cfg(test)]
pub mod pg_test {
    /// Called once before the tests.
    pub fn setup(_options: Vec<&str>) {}

    /// Settings of the tests' server.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec!["shared_preload_libraries = 'pg_pinterest'", "pinterest.model_dir = '/nonexistent'"]
    }
}
