//! Tokens: connecting, refreshing, sealing and secrecy.

mod account_data;
mod answer_storage;
mod app_access;
mod app_breaker;
mod apps;
mod connections;
mod disconnect;
mod expiry_warnings;
mod export;
mod key_rotation;
mod key_sources;
mod leak_channels;
mod leaks;
mod mishaps;
mod oauth_state;
mod refresh;
mod refresh_kills;
mod refresh_race;
mod refresh_shutdown;
mod scopes;
mod tampering;
