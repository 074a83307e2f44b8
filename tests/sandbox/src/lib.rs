//! A local stand-in for Pinterest: its API v5, its authorize page and its image CDN, on loopback over https.

mod api;
mod cdn;
mod clock;
pub mod config;
pub mod control;
mod error;
pub mod faults;
pub mod oauth;
mod random;
pub mod requests;
mod sandbox;
pub mod scene;
mod server;
mod state;
mod world;

pub use config::Config;
pub use error::Error;
pub use faults::{Fault, Faults, Rule, RuleId, Selector};
pub use oauth::Grant;
pub use requests::{Kind, Request, Requests};
pub use sandbox::{BoardSummary, Sandbox};
pub use scene::Family;
