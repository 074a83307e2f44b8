//! Safe calls of the server's C functions, and the tools that Rust code needs in a process of the server. Nothing here depends on
//! a table of the extension, except the type of its vectors.

pub mod catalog_changes;
pub mod expected_relation;
pub mod helper_thread;
pub mod identity;
pub mod implicit_block;
pub mod json_text;
pub mod majors;
pub mod memory;
pub mod platform;
pub mod program;
pub mod query_cache;
pub mod regclass;
pub mod session_settings;
pub mod shared_memory;
pub mod threads;
pub mod vector;
