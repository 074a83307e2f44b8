//! Limits on the time and size of an exchange.

use std::time::Duration;

/// Bytes of an image, unless another limit is set: more than cameras of 100 and phones of 200 megapixels write.
pub const DEFAULT_IMAGE_LIMIT: usize = 64 << 20;

/// Limits of every exchange. Tests shorten the timeouts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Looking up a host's addresses.
    pub look_up: Duration,
    /// Look-up, TCP and TLS together.
    pub connect: Duration,
    /// Between two reads of an answer, and from the request to the end of the headers.
    pub read_idle: Duration,
    /// One API or token call as a whole.
    pub api_total: Duration,
    /// One image as a whole, redirects included.
    pub image_total: Duration,
    /// The minimum average rate of a body in bytes per second: a slow body never reaches the idle timeout.
    pub minimum_rate: u32,
    /// The time over which the rate is averaged.
    pub rate_window: Duration,
    /// Bytes of a token answer, and of any error.
    pub token_answer: usize,
    /// Bytes of a JSON answer: 250 pins with every member at its maximum length take less than a third of it.
    pub page: usize,
    /// Bytes of an image.
    pub image: usize,
    /// Header lines of an answer.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            look_up: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            read_idle: Duration::from_secs(10),
            api_total: Duration::from_secs(30),
            image_total: Duration::from_secs(60),
            minimum_rate: 4 * 1024,
            rate_window: Duration::from_secs(10),
            token_answer: 64 * 1024,
            page: 8 * 1024 * 1024,
            image: DEFAULT_IMAGE_LIMIT,
            headers: 64,
        }
    }
}
