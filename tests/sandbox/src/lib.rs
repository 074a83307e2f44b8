//! A local stand-in for Pinterest: its API v5, its authorize page and its image CDN, on loopback over https.
//!
//! A [`Sandbox`] serves a small world that is derived from a seed: accounts, boards, pins, and images drawn by code. It
//! runs on a thread inside the test that starts it, or as the program `pinterest-sandbox`. To a client that only reads,
//! it behaves as Pinterest does: OAuth with rotating refresh tokens, scopes, bookmarks, rate limits, the five variants
//! of media, error codes. It misbehaves on request ([`faults`]) and counts its requests ([`requests`]).
//!
//! ```
//! use sandbox::{Config, Family, Fault, Kind, Rule, Sandbox};
//!
//! let sandbox = Sandbox::start(Config::with_board("Barn wedding", &[Family::Barn], 300))?;
//! let board = sandbox.board_id("Barn wedding")?;
//! let grant = sandbox.issue_grant("example_user")?;
//! sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::SomethingWentWrong).skip(1).once());
//!
//! // … the client under test imports `board` from `sandbox.host()` with `grant`, trusting `sandbox.ca_file()` …
//!
//! assert_eq!(sandbox.requests().pictures(), 0);
//! # let _ = (board, grant);
//! # Ok::<(), sandbox::Error>(())
//! ```
//!
//! - One port serves everything: `/v5/…`, `/oauth/`, `/{size}/{aa}/{bb}/{cc}/{hash}.{ext}`,
//!   `/videos/thumbnails/originals/…`, and the [`control`] path for other processes.
//! - The host is `localhost`. The certificate is issued by an authority made at start, whose PEM is written to a file.
//! - Data are derived when they are requested: a board of 20,000 pins costs as much as a board of 20.
//! - Codes and tokens are valid in their own sandbox only, and their text contains `SANDBOX_EXAMPLE`.

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
pub use state::State;
