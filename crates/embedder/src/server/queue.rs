//! Work between the connections and the threads. Texts overtake pictures, yet neither keeps the other waiting for ever.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use clip::Pixels;
use embedder::ErrorKind;
use tokio::sync::OwnedSemaphorePermit;

use super::answers::Asker;
use crate::failure::Failure;
use crate::inference::BATCH;

/// A picture as it was received, with its share of the budget for such.
pub struct Encoded {
    pub image: Bytes,
    pub _budget: OwnedSemaphorePermit,
}

/// A picture as the model takes it.
pub struct Decoded {
    pub pixels: Pixels,
    pub sha256: [u8; 32],
}

/// An input and whoever asked.
pub struct Job<Input> {
    pub input: Input,
    pub asker: Asker,
}

/// What the model takes next; never empty.
pub enum Batch {
    Images(Vec<Job<Decoded>>),
    Texts(Vec<Job<String>>),
}

/// The queue. Jobs whose asker is gone are dropped where they would be taken.
pub struct Queue {
    state: Mutex<State>,
    to_decode: Condvar,
    to_embed: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    encoded: VecDeque<Job<Encoded>>,
    decoding: usize,
    decoded: VecDeque<Job<Decoded>>,
    texts: VecDeque<Job<String>>,
    /// The model's last batch was one of texts.
    texts_had_their_turn: bool,
}

impl Queue {
    /// A queue that holds at most `limit` pictures and as many texts.
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), to_decode: Condvar::new(), to_embed: Condvar::new(), limit }
    }

    /// Takes a picture, or refuses it if too many wait.
    pub fn push_image(&self, job: Job<Encoded>) {
        let mut state = self.lock();
        let waiting = state.encoded.len() + state.decoding + state.decoded.len();
        if waiting >= self.limit {
            drop(state);
            return job.asker.refuse(busy("pictures", waiting, self.limit));
        }
        state.encoded.push_back(job);
        drop(state);
        self.to_decode.notify_one();
    }

    /// Takes a text, or refuses it if too many wait.
    pub fn push_text(&self, job: Job<String>) {
        let mut state = self.lock();
        let waiting = state.texts.len();
        if waiting >= self.limit {
            drop(state);
            return job.asker.refuse(busy("texts", waiting, self.limit));
        }
        state.texts.push_back(job);
        drop(state);
        self.to_embed.notify_one();
    }

    /// Waits for a picture to decode. One batch is decoded ahead of the model, no more: decoded pictures are large.
    pub fn next_image(&self) -> Job<Encoded> {
        let mut state = self.lock();
        loop {
            if state.decoding + state.decoded.len() < BATCH
                && let Some(job) = take_wanted(&mut state.encoded)
            {
                state.decoding += 1;
                return job;
            }
            state = wait(&self.to_decode, state);
        }
    }

    /// Ends what [`next_image`](Self::next_image) began; `None` if the picture could not be decoded.
    pub fn decoded(&self, job: Option<Job<Decoded>>) {
        let mut state = self.lock();
        state.decoding -= 1;
        let failed = job.is_none();
        state.decoded.extend(job);
        drop(state);
        if failed {
            self.to_decode.notify_one();
        } else {
            self.to_embed.notify_one();
        }
    }

    /// Waits for work for the model: whatever has come together, up to [`BATCH`]. Texts go first, for somebody waits at a
    /// prompt for them, but between two batches of texts goes one of pictures.
    pub fn next_batch(&self) -> Batch {
        let mut state = self.lock();
        loop {
            let images_wait = !state.decoded.is_empty();
            if !(state.texts_had_their_turn && images_wait) {
                let texts = take_batch(&mut state.texts);
                if !texts.is_empty() {
                    state.texts_had_their_turn = true;
                    return Batch::Texts(texts);
                }
            }
            state.texts_had_their_turn = false;
            if images_wait {
                let images = take_batch(&mut state.decoded);
                self.to_decode.notify_all();
                if !images.is_empty() {
                    return Batch::Images(images);
                }
                continue;
            }
            state = wait(&self.to_embed, state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(state).unwrap_or_else(PoisonError::into_inner)
}

fn busy(what: &str, waiting: usize, limit: usize) -> Failure {
    Failure::new(ErrorKind::Busy, format!("{waiting} {what} are waiting for the embedder, the limit is {limit}"))
}

fn take_wanted<Input>(jobs: &mut VecDeque<Job<Input>>) -> Option<Job<Input>> {
    std::iter::from_fn(|| jobs.pop_front()).find(|job| !job.asker.is_gone())
}

fn take_batch<Input>(jobs: &mut VecDeque<Job<Input>>) -> Vec<Job<Input>> {
    std::iter::from_fn(|| take_wanted(jobs)).take(BATCH).collect()
}

#[cfg(test)]
mod tests;
