//! Tests of the sandbox over https.

mod client;
mod control;
mod document;
mod faults;
mod listings;
mod oauth;
mod openapi;
mod pictures;
mod program;
mod rights;
mod schema;
mod trust;
mod world;
