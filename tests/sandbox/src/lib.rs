//! A local stand-in for Pinterest: its API v5, its authorize page and its image CDN, on loopback over https.
//!
//! A [`Sandbox`] is a small world derived from a seed: accounts, boards, pins, pictures drawn by code. It runs on a
//! thread of its own, inside the test that starts it or as the program `pinterest-sandbox`, and does what Pinterest
//! does as far as a client that reads can tell: OAuth with rotating refresh tokens, scopes, bookmarks, rate limits,
//! the five variants of media, error codes. On request it misbehaves ([`faults`]), and it counts what it is asked
//! ([`requests`]).
//!
//! ```
//! use sandbox::{Config, Family, Fault, Kind, Rule, Sandbox};
//!
//! let sandbox = Sandbox::start(Config::with_board("Barn wedding", &[Family::Barn], 300))?;
//! let board = sandbox.board_id("Barn wedding")?;
//! let grant = sandbox.issue_grant("example_user")?;
//! sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::SomethingWentWrong).skip(1).once());
//!
//! // … let the client under test import `board` from `sandbox.host()` with `grant`, trusting `sandbox.ca_file()` …
//!
//! assert_eq!(sandbox.requests().pictures(), 0);
//! # let _ = (board, grant);
//! # Ok::<(), sandbox::Error>(())
//! ```
//!
//! - One port serves everything: `/v5/…`, `/oauth/`, `/{size}/{aa}/{bb}/{cc}/{hash}.{ext}`,
//!   `/videos/thumbnails/originals/…`, and the [`control`] path for other processes.
//! - The name is `localhost`, the certificate comes from an authority made at start, whose PEM lies in a file.
//! - Nothing is built up front: a board of 20,000 pins costs as much as one of 20.
//! - Codes and tokens open nothing but their own sandbox, and say so in their text.

mod api;
mod cdn;
mod clock;
pub mod config;
pub mod control;
mod error;
pub mod faults;
pub mod oauth;
pub mod proxy;
mod random;
pub mod requests;
mod sandbox;
pub mod scene;
mod server;
mod state;
pub mod store;
mod world;

pub use config::Config;
pub use error::Error;
pub use faults::{Fault, Faults, OddShape, Rule, RuleId, Selector};
pub use oauth::Grant;
pub use requests::{Kind, Request, Requests};
pub use sandbox::{BoardSummary, Sandbox};
pub use scene::Family;
