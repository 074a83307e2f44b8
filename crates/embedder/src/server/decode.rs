//! A thread that decodes pictures.

use sha2::{Digest, Sha256};

use super::Shared;
use super::queue::{Decoded, Job};
use super::watchdog::Subject;
use crate::inference;

/// How far decoding stands back behind the model, in steps of niceness. The model's threads wait for one another in every
/// layer, so one that is held up holds up all; a decoder has time until the next pass, and the processors when there is none.
const NICENESS: i32 = 5;

pub fn run(shared: &Shared) {
    // On Linux this is the thread's own affair. A refusal costs a little speed and nothing else.
    let _ = rustix::process::nice(NICENESS);
    loop {
        let job = shared.queue.next_image();
        shared.queue.decoded(decode(shared, job));
    }
}

/// Answers by itself if the picture cannot be decoded.
fn decode(shared: &Shared, job: Job<super::queue::Encoded>) -> Option<Job<Decoded>> {
    let Job { input, asker } = job;
    let sha256: [u8; 32] = Sha256::digest(&input.image).into();
    let watched = shared.watchdog.watch(Subject::Images(vec![sha256]));
    #[cfg(feature = "fault-injection")]
    if let Some(lie) = crate::fault::strike(&input.image) {
        asker.lie(lie);
        return None;
    }
    let result = inference::decode(&input.image);
    drop(watched);
    match result {
        Ok(pixels) => Some(Job { input: Decoded { pixels, sha256 }, asker }),
        Err(failure) => {
            asker.refuse(failure);
            None
        }
    }
}
