//! The answer to an API call.

use crate::RateLimit;

/// The answer to an API call.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The requested object or page.
    pub value: T,
    /// The quota in the headers.
    pub rate_limit: RateLimit,
    /// Pinterest's id of the request (`x-pinterest-rid`).
    pub request_id: Option<String>,
}
