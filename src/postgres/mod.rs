//! The server's C functions behind safe calls, and what Rust code needs in a process of the server. It knows no table.

pub mod catalog_changes;
pub mod expected_relation;
pub mod helper_thread;
pub mod identity;
pub mod json_text;
pub mod memory;
pub mod platform;
pub mod program;
pub mod query_cache;
pub mod regclass;
pub mod session_settings;
pub mod threads;
pub mod vector;
