//! A thread that decodes pictures.

use clip::Prepared;
use sha2::{Digest, Sha256};

use super::Shared;
use super::queue::{Decoded, Job};
use super::watchdog::Subject;
use crate::inference;

pub fn run(shared: &Shared) {
    shared.first_load.wait();
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
    let result = inference::decode(&input.image, input.animations);
    drop(watched);
    match result {
        Ok(Prepared { pixels, animated, .. }) => Some(Job { input: Decoded { pixels, animated, sha256 }, asker }),
        Err(failure) => {
            asker.refuse(failure);
            None
        }
    }
}
