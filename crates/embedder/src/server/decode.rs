//! A thread that decodes images.
//!
//! A thread that finds a large image sets it aside. Only one large image is decoded at a time. Meanwhile the other threads
//! decode small ones, so decoding takes at most the memory of one large image and of a small one per other thread.

use clip::{Limits, Measure, Prepared};
use embedder::protocol::Response;
use sha2::{Digest, Sha256};

use super::Shared;
use super::queue::{Decoded, Encoded, Job, Next, Task};
use super::watchdog::Subject;
use crate::inference;

/// Largest image that is decoded beside others: pixels, and bytes of memory.
const SMALL: (u64, u64) = (16_000_000, 128 << 20);

/// Pixels per additional time limit. The limit is twenty times what they take on a slow processor.
const PIXELS_IN_TIME: u64 = 32_000_000;

/// Fewest threads that decode: one works on large images, another on small ones meanwhile.
const FEWEST: usize = 2;
/// Most of them. On a core of its own each prepares 400 JPEGs of 600 x 900 pixels a second.
const MOST: usize = 8;

/// Threads that decode, beside a model with so many threads.
///
/// As many as the model has: where it takes a tenth of the time of decoding, they have all cores, and otherwise they wait for
/// it (see [`Queue::next_image`](super::queue::Queue::next_image)) and take no more than their share. A small image of each
/// takes no more memory together than a large one.
pub fn threads(model_threads: usize, limits: &Limits) -> usize {
    let small_ones = usize::try_from(limits.max_memory / SMALL.1).unwrap_or(MOST);
    model_threads.min(1 + small_ones).clamp(FEWEST, MOST)
}

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

/// Decodes an image. If it is invalid or only a thumbnail is wanted, answers and returns `None`.
fn decode(shared: &Shared, job: Job<Encoded>, measure: Option<&Measure>) -> Option<Job<Decoded>> {
    let Job { input, responder } = job;
    let sha256: [u8; 32] = Sha256::digest(&input.image).into();
    let times = 1 + measure.map_or(0, |measure| measure.pixels() / PIXELS_IN_TIME);
    let watched = shared.watchdog.watch_for(u32::try_from(times).unwrap_or(u32::MAX), Subject::Images(vec![sha256]));
    #[cfg(feature = "fault-injection")]
    if let Some(wrong) = crate::fault::inject(&input.image) {
        responder.send_wrong(wrong);
        return None;
    }
    let wants_thumbnail = match input.task {
        Task::Embed => false,
        Task::EmbedWithThumbnail => true,
        Task::Thumbnail(side) => {
            match inference::thumbnail(&input.image, &shared.limits, side) {
                Ok(thumbnail) => responder.answer(&Response::Thumbnail(thumbnail)),
                Err(failure) => responder.refuse(failure),
            }
            return None;
        }
    };
    let result = inference::decode(&input.image, &shared.limits, input.animations, wants_thumbnail);
    drop(watched);
    match result {
        Ok(Prepared { pixels, animated, thumbnail, .. }) => {
            let thumbnail = wants_thumbnail.then(|| thumbnail.unwrap_or_default().into());
            Some(Job { input: Decoded { pixels, animated, thumbnail, sha256 }, responder })
        }
        Err(failure) => {
            responder.refuse(failure);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_follow_cores_and_memory() {
        let with = |megabytes: u64| Limits { max_memory: megabytes << 20, ..Limits::default() };
        for (cores, megabytes, expected) in
            [(1, 1024, 2), (2, 1024, 2), (4, 1024, 4), (64, 1024, 8), (64, 512, 5), (64, 16, 2), (64, 1 << 30, 8)]
        {
            assert_eq!(threads(cores, &with(megabytes)), expected, "{cores} cores, {megabytes} MB");
        }
    }
}
