//! A client for Pinterest's API v5: OAuth, boards, sections, pins and their images, and the sealing of tokens.
//!
//! The crate uses no database and no model. Time and randomness are arguments wherever code depends on them. The network is
//! reached only through [`Client`], over https, and only to the hosts in [`Endpoints`]. The crate starts no thread, has no
//! global state, and runs on a current-thread tokio runtime (with `enable_io` and `enable_time`). The caller retries: no
//! call is sent twice, and [`retry`] decides when to retry.
//!
//! # Map
//!
//! | module | content |
//! |---|---|
//! | `client` | [`Client`]: one method per endpoint (`resources`), the token endpoint (`token`), images (`image`), and the checks and limits of every exchange |
//! | `net` | the allowed hosts, addresses and certificates, the check of URLs, the proxy |
//! | [`model`] | boards, sections, pins and the account, read leniently |
//! | `error`, `rate_limit` | refusals and quotas, read from status, headers and body |
//! | `oauth`, [`oauth_state`] | the requests and answers of OAuth |
//! | [`refresh`], [`retry`], [`app_access`] | when to refresh and retry, and what a failure means |
//! | [`completeness`], `page` | what a listing proves; pages and bookmarks |
//! | `names` | boards and sections by id, title or address |
//! | [`seal`], `secret`, `private_file`, `app_secrets` | secrets in memory, in the database and in files |
//! | [`observed_time`] | ages that survive a change of the clock |
//!
//! # Adding an endpoint
//!
//! 1. Describe the object in `model/`: a struct with lenient members, `impl Item`, and the reason of each bound in `bounds`.
//! 2. Add the method to `client/resources.rs`: path, parameters, and `read_item` or `read_page`.
//! 3. Let the sandbox answer it: `tests/sandbox/src/server/route.rs`, `requests.rs` (its kind) and `api/`.
//! 4. Test it: its path in `tests/it/resources.rs`, its answer and every spoiled form of it in `tests/it/generated/`, the
//!    sandbox's answer against the OpenAPI description in `tests/sandbox/tests/it/schema.rs`, and a fuzz target in `fuzz/`.

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
pub use client::{Answer, Client, ClientBuilder, DEFAULT_IMAGE_LIMIT, Exchange, FetchedImage, Limits, Observer};
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
