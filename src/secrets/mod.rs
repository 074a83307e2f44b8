//! The keys that seal secrets, and the secrets in plain text: the tokens of accounts and the client secrets of apps.

pub mod app_secret;
mod key_command;
pub mod keys;
pub mod sealer;
pub mod tokens;
