//! Work between the connections and the threads. Texts overtake pictures, yet neither keeps the other waiting for ever, and
//! clients take turns.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clip::{Animations, Measure, Pixels};
use embedder::{ErrorKind, Statistics};
use tokio::sync::OwnedSemaphorePermit;

use super::DECODE_THREADS;
use super::answers::{Asker, ConnectionNumber};
use super::pass_size::PassSize;
use super::turns::Turns;
use crate::failure::Failure;

/// A picture as it was received, with its share of the budget for such.
pub struct Encoded {
    pub image: Bytes,
    pub animations: Animations,
    pub _budget: OwnedSemaphorePermit,
}

/// A picture as the model takes it.
pub struct Decoded {
    pub pixels: Pixels,
    pub animated: bool,
    pub sha256: [u8; 32],
}

/// An input and whoever asked.
pub struct Job<Input> {
    pub input: Input,
    pub asker: Asker,
}

/// What is decoded next.
pub enum Next {
    /// A picture that nobody has looked at.
    Any(Job<Encoded>),
    /// A large one that was set aside, where no other is being decoded.
    Large(Job<Encoded>, Measure),
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

type Line<Input> = Turns<ConnectionNumber, Job<Input>>;

struct State {
    encoded: Line<Encoded>,
    /// Large pictures that were set aside.
    large: Turns<ConnectionNumber, (Job<Encoded>, Measure)>,
    decoding: usize,
    /// One of those is a large one.
    decoding_large: bool,
    decoded: Line<Decoded>,
    texts: Line<String>,
    /// The model's last batch was one of texts.
    texts_had_their_turn: bool,
    pass_size: PassSize,
    /// Of the passes that were reported; what waits is counted when asked for.
    done: Statistics,
}

impl Queue {
    /// A queue that holds at most `limit` pictures and as many texts, for passes of at most `pass_time`.
    pub fn new(limit: usize, pass_time: Duration) -> Self {
        let state = State {
            encoded: Turns::default(),
            large: Turns::default(),
            decoding: 0,
            decoding_large: false,
            decoded: Turns::default(),
            texts: Turns::default(),
            texts_had_their_turn: false,
            pass_size: PassSize::new(pass_time),
            done: Statistics::default(),
        };
        Self { state: Mutex::new(state), to_decode: Condvar::new(), to_embed: Condvar::new(), limit }
    }

    /// See [`PassSize::set_batches_pay`].
    pub fn set_batches_pay(&self, batches_pay: bool) {
        self.lock().pass_size.set_batches_pay(batches_pay);
    }

    /// Takes a picture, or refuses it if too many wait.
    pub fn push_image(&self, job: Job<Encoded>) {
        let mut state = self.lock();
        let waiting = state.images_waiting();
        if waiting >= self.limit {
            drop(state);
            return job.asker.refuse(busy("pictures", waiting, self.limit));
        }
        state.encoded.push(job.asker.connection(), job);
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
        state.pass_size.text_came(Instant::now());
        state.texts.push(job.asker.connection(), job);
        drop(state);
        self.to_embed.notify_one();
    }

    /// Waits for a picture to decode. What the model's next pass takes is decoded ahead, and for each decoder one more, so
    /// that a large picture does not leave the model without work; what is decoded beyond that only takes memory.
    ///
    /// Ends with [`decoded`](Self::decoded), [`decoded_large`](Self::decoded_large) or [`set_aside`](Self::set_aside).
    pub fn next_image(&self) -> Next {
        let mut state = self.lock();
        loop {
            let ahead = state.pass_size.images(Instant::now()) + DECODE_THREADS;
            if state.decoding + state.decoded.len() < ahead {
                if !state.decoding_large
                    && let Some((job, measure)) =
                        std::iter::from_fn(|| state.large.pop()).find(|(job, _)| !job.asker.is_gone())
                {
                    state.decoding += 1;
                    state.decoding_large = true;
                    return Next::Large(job, measure);
                }
                if let Some(job) = take_wanted(&mut state.encoded) {
                    state.decoding += 1;
                    return Next::Any(job);
                }
            }
            state = wait(&self.to_decode, state);
        }
    }

    /// Ends what [`next_image`](Self::next_image) began: the picture is a large one, which waits for its turn among those.
    pub fn set_aside(&self, job: Job<Encoded>, measure: Measure) {
        let mut state = self.lock();
        state.decoding -= 1;
        state.large.push(job.asker.connection(), (job, measure));
        drop(state);
        self.to_decode.notify_one();
    }

    /// Ends what [`next_image`](Self::next_image) began with a large picture.
    pub fn decoded_large(&self, job: Option<Job<Decoded>>) {
        self.lock().decoding_large = false;
        self.decoded(job);
        self.to_decode.notify_one();
    }

    /// Ends what [`next_image`](Self::next_image) began; `None` if the picture could not be decoded.
    pub fn decoded(&self, job: Option<Job<Decoded>>) {
        let mut state = self.lock();
        state.decoding -= 1;
        let Some(job) = job else {
            drop(state);
            self.to_decode.notify_one();
            return;
        };
        state.decoded.push(job.asker.connection(), job);
        drop(state);
        self.to_embed.notify_one();
    }

    /// Waits for work for the model: whatever has come together, up to the size of a pass. Texts go first, for somebody
    /// waits at a prompt for them, but between two batches of texts goes one of pictures.
    pub fn next_batch(&self) -> Batch {
        let mut state = self.lock();
        loop {
            let images_wait = !state.decoded.is_empty();
            if !(state.texts_had_their_turn && images_wait) {
                let size = state.pass_size.texts();
                let texts = take_batch(&mut state.texts, size);
                if !texts.is_empty() {
                    state.texts_had_their_turn = true;
                    return Batch::Texts(texts);
                }
            }
            state.texts_had_their_turn = false;
            if images_wait {
                let size = state.pass_size.images(Instant::now());
                let images = take_batch(&mut state.decoded, size);
                self.to_decode.notify_all();
                if !images.is_empty() {
                    return Batch::Images(images);
                }
                continue;
            }
            state = wait(&self.to_embed, state);
        }
    }

    /// Reports a pass of `count` pictures.
    pub fn images_took(&self, count: usize, time: Duration) {
        let mut state = self.lock();
        state.pass_size.images_took(count, time);
        state.done.images += count as u64;
        state.done.image_passes += 1;
    }

    /// Reports a pass of `count` texts.
    pub fn texts_took(&self, count: usize, time: Duration) {
        let mut state = self.lock();
        state.pass_size.texts_took(count, time);
        state.done.texts += count as u64;
        state.done.text_passes += 1;
    }

    /// All but the texts that were answered without coming here.
    pub fn statistics(&self) -> Statistics {
        let state = self.lock();
        let image_time = state.pass_size.image_time().unwrap_or_default();
        Statistics {
            images_waiting: state.images_waiting() as u32,
            texts_waiting: state.texts.len() as u32,
            image_microseconds: u32::try_from(image_time.as_micros()).unwrap_or(u32::MAX),
            ..state.done
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn images_waiting(&self) -> usize {
        self.encoded.len() + self.large.len() + self.decoding + self.decoded.len()
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(state).unwrap_or_else(PoisonError::into_inner)
}

fn busy(what: &str, waiting: usize, limit: usize) -> Failure {
    let message =
        format!("{waiting} {what} are waiting for the embedder, the limit is {limit}: ask again a little later");
    Failure::new(ErrorKind::Busy, message)
}

fn take_wanted<Input>(line: &mut Line<Input>) -> Option<Job<Input>> {
    std::iter::from_fn(|| line.pop()).find(|job| !job.asker.is_gone())
}

fn take_batch<Input>(line: &mut Line<Input>, size: usize) -> Vec<Job<Input>> {
    std::iter::from_fn(|| take_wanted(line)).take(size).collect()
}

#[cfg(test)]
mod tests;
