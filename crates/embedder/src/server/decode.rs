//! A thread that decodes pictures.
//!
//! A large one is set aside by the thread that comes across it. One at a time is decoded, so the others go on with small
//! ones meanwhile, and the memory that decoding takes is at most that of one large picture and of a small one for each other
//! thread.

use clip::{Measure, Prepared};
use sha2::{Digest, Sha256};

use super::Shared;
use super::queue::{Decoded, Encoded, Job, Next};
use super::watchdog::Subject;
use crate::inference;

/// Pixels, and bytes of memory, of a picture that is decoded beside others.
const SMALL: (u64, u64) = (16_000_000, 128 << 20);

/// Pixels that are given the time for a picture once more: twenty times what it takes on a slow processor.
const PIXELS_IN_TIME: u64 = 32_000_000;

pub fn run(shared: &Shared) {
    shared.first_load.wait();
    loop {
        match shared.queue.next_image() {
            Next::Large(job, measure) => {
                let decoded = decode(shared, job, Some(&measure));
                shared.queue.decoded_large(decoded);
            }
            Next::Any(job) => match inference::measure(&job.input.image, &shared.limits) {
                Some(measure) if is_large(&measure) => shared.queue.set_aside(job, measure),
                measure => {
                    let decoded = decode(shared, job, measure.as_ref());
                    shared.queue.decoded(decoded);
                }
            },
        }
    }
}

fn is_large(measure: &Measure) -> bool {
    measure.pixels() > SMALL.0 || measure.memory > SMALL.1
}

/// Answers by itself if the picture cannot be decoded.
fn decode(shared: &Shared, job: Job<Encoded>, measure: Option<&Measure>) -> Option<Job<Decoded>> {
    let Job { input, asker } = job;
    let sha256: [u8; 32] = Sha256::digest(&input.image).into();
    let times = 1 + measure.map_or(0, |measure| measure.pixels() / PIXELS_IN_TIME);
    let watched = shared.watchdog.watch_for(u32::try_from(times).unwrap_or(u32::MAX), Subject::Images(vec![sha256]));
    #[cfg(feature = "fault-injection")]
    if let Some(lie) = crate::fault::strike(&input.image) {
        asker.lie(lie);
        return None;
    }
    let result = inference::decode(&input.image, &shared.limits, input.animations);
    drop(watched);
    match result {
        Ok(Prepared { pixels, animated, .. }) => Some(Job { input: Decoded { pixels, animated, sha256 }, asker }),
        Err(failure) => {
            asker.refuse(failure);
            None
        }
    }
}
