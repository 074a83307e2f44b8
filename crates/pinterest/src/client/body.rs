//! Reading a body that was written by somebody else: capped while it arrives, and not slower than the minimum rate.

use reqwest::Response;
use tokio::time::Instant;

use super::limits::Limits;
use crate::error::{Error, ErrorKind, from_reqwest};

/// Reads the whole body.
///
/// # Errors
/// [`ErrorKind::TooLarge`] from the Content-Length before the first byte, or from the count; [`ErrorKind::Transient`]
/// if it is cut short, stalls or drips.
pub(super) async fn read(mut response: Response, cap: usize, limits: &Limits) -> Result<Vec<u8>, Error> {
    let announced = response.content_length();
    if let Some(length) = announced.filter(|&length| length > cap as u64) {
        return Err(too_large(format!("the answer has {length} bytes"), cap));
    }
    // Room for the whole, or for all of a token answer where nothing is announced: growing leaves copies behind, and
    // who zeroes this one could not reach them.
    let room = announced.map_or(limits.token_answer, |length| usize::try_from(length).unwrap_or(cap));
    let mut body = Vec::with_capacity(room.min(cap));
    let mut rate = RateGuard::new(limits);
    while let Some(piece) = response.chunk().await.map_err(from_reqwest)? {
        if body.len() + piece.len() > cap {
            return Err(too_large(format!("the answer has more than {} bytes", body.len()), cap));
        }
        rate.admit(piece.len(), Instant::now())?;
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn too_large(found: String, cap: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{found}, at most {cap} are read")).outcome_unknown()
}

/// Compares what arrived in each window with the minimum rate.
struct RateGuard<'a> {
    limits: &'a Limits,
    window_start: Instant,
    window_bytes: u64,
}

impl<'a> RateGuard<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self { limits, window_start: Instant::now(), window_bytes: 0 }
    }

    fn admit(&mut self, bytes: usize, now: Instant) -> Result<(), Error> {
        self.window_bytes += bytes as u64;
        let elapsed = now.duration_since(self.window_start);
        if elapsed < self.limits.rate_window {
            return Ok(());
        }
        let rate = self.window_bytes as f64 / elapsed.as_secs_f64();
        if rate < f64::from(self.limits.minimum_rate) {
            let detail =
                format!("the answer comes at {rate:.0} bytes per second, the least is {}", self.limits.minimum_rate);
            return Err(Error::new(ErrorKind::Transient, detail).outcome_unknown());
        }
        self.window_start = now;
        self.window_bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_drip_is_found_out_at_the_end_of_a_window() {
        let limits = Limits::default();
        let mut rate = RateGuard::new(&limits);
        let start = rate.window_start;
        for second in 1..10 {
            rate.admit(1, start + Duration::from_secs(second)).unwrap();
        }
        let error = rate.admit(1, start + Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.to_string().contains("at 1 bytes per second, the least is 4096"), "{error}");
    }

    #[test]
    fn a_steady_stream_passes_every_window() {
        let limits = Limits::default();
        let mut rate = RateGuard::new(&limits);
        let start = rate.window_start;
        for second in 1..60 {
            rate.admit(5_000, start + Duration::from_secs(second)).unwrap();
        }
    }
}
