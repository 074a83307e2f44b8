//! The sandbox seen from outside, over https.

mod client;
mod control;
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
