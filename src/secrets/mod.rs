//! The keys that seal tokens, where they come from, and the tokens of an account in plain text.

pub mod key_command;
pub mod keys;
pub mod tokens;
