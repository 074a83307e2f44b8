//! A value and what came with it.

use crate::RateLimit;

/// The answer to an API call.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// What the headers say about the quota.
    pub rate_limit: RateLimit,
    /// Pinterest's id of the request (`x-pinterest-rid`).
    pub request_id: Option<String>,
}
