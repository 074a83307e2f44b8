//! Pinterest's API v5 as a client: OAuth, boards, sections, pins and their images; and the sealing of what it returns.
//!
//! The crate knows no database and no model. Time and randomness are arguments wherever code decides by them; the
//! network is reached only through [`Client`], over https, and only to the hosts in [`Endpoints`]. It starts no
//! thread, keeps no global state and runs on a current-thread tokio runtime (with `enable_io` and `enable_time`).
//! Retrying is the caller's: no call is sent twice, and [`retry`] says when to try again.

pub mod app_access;
mod app_secrets;
mod bounds;
mod client;
pub mod completeness;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod lenient;
pub mod model;
mod names;
mod net;
mod oauth;
pub mod oauth_state;
pub mod observed_time;
mod page;
mod private_file;
mod rate_limit;
pub mod refresh;
pub mod retry;
pub mod seal;
mod secret;
mod timestamp;

pub use app_secrets::{AppSecret, read_app_secret};
pub use bounds::LONGEST_WINDOW;
pub use client::{Answer, Client, ClientBuilder, DEFAULT_IMAGE_LIMIT, FetchedImage, Limits};
pub use error::{Error, ErrorKind};
pub use names::{BoardAddress, BoardReference, Closest, LeadsTo, Likeness, NotABoard, SectionReference};
pub use net::{
    AddressRange, Endpoints, Host, LookUp, LookUpFuture, PrivateHost, Proxy, ProxyAddress, SystemLookUp, host_of_url,
};
pub use oauth::{AppCredentials, TokenGrant, authorize_url};
pub use page::{BookmarkGuard, MAX_PAGES, PAGE_SIZE, Page};
pub use rate_limit::RateLimit;
pub use secret::Secret;
pub use timestamp::{Timestamp, TimestampError};
