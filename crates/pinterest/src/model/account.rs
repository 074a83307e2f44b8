//! The account a token belongs to.

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
    /// `PINNER` or `BUSINESS`, as far as is known.
    #[serde(default, deserialize_with = "lenient")]
    pub account_type: Option<String>,
    /// A business account's name.
    #[serde(default, deserialize_with = "lenient")]
    pub business_name: Option<String>,
    /// Boards the account has.
    #[serde(default, deserialize_with = "count")]
    pub board_count: Option<i64>,
    /// Pins the account has; counts pins that a trial app cannot see.
    #[serde(default, deserialize_with = "count")]
    pub pin_count: Option<i64>,
}
