//! Reads the body of an answer with a size limit and a minimum rate.

use reqwest::Response;
use tokio::time::Instant;

use super::limits::Limits;
use crate::error::{Error, ErrorKind, from_reqwest};

/// Reads the whole body; counts its bytes as they come.
///
/// # Errors
/// [`ErrorKind::TooLarge`] by its Content-Length before the first byte, or while it is read; [`ErrorKind::Transient`] if it
/// is incomplete, stalls or is too slow.
pub(super) async fn read(
    mut response: Response,
    cap: usize,
    limits: &Limits,
    received: &mut u64,
) -> Result<Vec<u8>, Error> {
    let announced = response.content_length();
    if let Some(length) = announced.filter(|&length| length > cap as u64) {
        return Err(too_large(format!("the answer has {length} bytes"), cap));
    }
    // Capacity for the whole body, or for the largest token answer if there is no length: a vector that grows leaves
    // copies behind, which could not be zeroed.
    let room = announced.map_or(limits.token_answer, |length| usize::try_from(length).unwrap_or(cap));
    let mut body = Vec::with_capacity(room.min(cap));
    let mut rate = RateGuard::new(limits);
    while let Some(piece) = response.chunk().await.map_err(from_reqwest)? {
        *received += piece.len() as u64;
        if body.len() + piece.len() > cap {
            return Err(too_large(format!("the answer has more than {} bytes", body.len()), cap));
        }
        rate.admit(piece.len(), Instant::now())?;
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn too_large(found: String, cap: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{found}, at most {cap} are allowed")).outcome_unknown()
}

/// Checks that each window brings bytes at the minimum rate.
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
            let detail = format!(
                "the answer arrives at {rate:.0} bytes per second, the minimum is {}",
                self.limits.minimum_rate
            );
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
    fn a_slow_body_is_refused_at_the_end_of_a_window() {
        let limits = Limits::default();
        let mut rate = RateGuard::new(&limits);
        let start = rate.window_start;
        for second in 1..10 {
            rate.admit(1, start + Duration::from_secs(second)).unwrap();
        }
        let error = rate.admit(1, start + Duration::from_secs(10)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert!(error.to_string().contains("at 1 bytes per second, the minimum is 4096"), "{error}");
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
