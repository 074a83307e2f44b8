//! The token's account.

use serde::Deserialize;

use crate::bounds::count;
use crate::lenient::lenient;
use crate::model::item::maybe_id;

/// `GET /v5/user_account`. Nothing in it is required.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct UserAccount {
    /// Digits.
    #[serde(default, deserialize_with = "maybe_id")]
    pub id: Option<String>,
    /// The name in the profile's URL.
    #[serde(default, deserialize_with = "lenient")]
    pub username: Option<String>,
    /// Number of pins, including pins that a trial app cannot see.
    #[serde(default, deserialize_with = "count")]
    pub pin_count: Option<i64>,
}
