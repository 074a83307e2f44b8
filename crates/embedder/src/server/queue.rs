//! The queue between the connections and the threads. Texts overtake images, but neither can starve the other, and clients
//! take turns.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clip::{Animations, Measure, Pixels};
use embedder::{ErrorKind, Statistics};

use super::pass_size::PassSize;
use crate::failure::Failure;
use crate::front::Room;
use crate::front::answers::{ClientNumber, Responder};
use crate::front::round_robin::RoundRobin;

/// What is to be made of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Its embedding.
    Embed,
    /// Its embedding and a thumbnail.
    EmbedWithThumbnail,
    /// A thumbnail with this longest side.
    Thumbnail(u16),
}

/// An image as received, with its share of the budget.
pub struct Encoded {
    pub image: Bytes,
    pub animations: Animations,
    pub task: Task,
    pub _budget: Room,
}

/// A decoded image: the model's input.
pub struct Decoded {
    pub pixels: Pixels,
    pub animated: bool,
    /// The thumbnail, if one was asked for; empty if none could be made.
    pub thumbnail: Option<Bytes>,
    pub sha256: [u8; 32],
}

/// An input and the receiver of its answer.
pub struct Job<Input> {
    pub input: Input,
    pub responder: Responder,
}

/// The next image to decode.
pub enum Next {
    /// An image whose size is not yet known.
    Any(Job<Encoded>),
    /// A large image that was set aside, while no other large one is being decoded.
    Large(Job<Encoded>, Measure),
}

/// The next inputs of the model; never empty.
pub enum Batch {
    Images(Vec<Job<Decoded>>),
    Texts(Vec<Job<String>>),
}

/// The queue. Jobs whose client has disconnected are dropped when they are taken.
pub struct Queue {
    state: Mutex<State>,
    to_decode: Condvar,
    to_embed: Condvar,
    to_report: Condvar,
    limit: usize,
    decoders: usize,
}

type Line<Input> = RoundRobin<ClientNumber, Job<Input>>;

struct State {
    encoded: Line<Encoded>,
    /// Large images that were set aside.
    large: RoundRobin<ClientNumber, (Job<Encoded>, Measure)>,
    decoding: usize,
    /// Whether one of those is large.
    decoding_large: bool,
    decoded: Line<Decoded>,
    texts: Line<String>,
    /// Whether the model's last batch, or that of the last break, was one of texts.
    last_was_texts: bool,
    pass_size: PassSize,
    /// Of the reported passes; waiting jobs are counted on request.
    done: Statistics,
    work: Work,
}

/// What the queue has done besides [`Statistics`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Between the arrival of inputs and their forward passes.
    pub waited: Duration,
    /// Of forward passes.
    pub passes: Duration,
    /// Requests refused because the queue was full.
    pub refused: u64,
    /// Changes so far, of anything that a report contains.
    changes: u64,
}

impl Queue {
    /// A queue that holds at most `limit` images and as many texts, for passes of at most `pass_time` and so many threads
    /// that decode.
    pub fn new(limit: usize, pass_time: Duration, decoders: usize) -> Self {
        let state = State {
            encoded: RoundRobin::default(),
            large: RoundRobin::default(),
            decoding: 0,
            decoding_large: false,
            decoded: RoundRobin::default(),
            texts: RoundRobin::default(),
            last_was_texts: false,
            pass_size: PassSize::new(pass_time),
            done: Statistics::default(),
            work: Work::default(),
        };
        Self {
            state: Mutex::new(state),
            to_decode: Condvar::new(),
            to_embed: Condvar::new(),
            to_report: Condvar::new(),
            limit,
            decoders,
        }
    }

    /// See [`PassSize::set_batches_pay`].
    pub fn set_batches_pay(&self, batches_pay: bool) {
        self.lock().pass_size.set_batches_pay(batches_pay);
    }

    /// Queues an image, or refuses it if too many wait.
    pub fn push_image(&self, job: Job<Encoded>) {
        let mut state = self.lock();
        let waiting = state.images_waiting();
        self.changed(&mut state);
        if waiting >= self.limit {
            state.work.refused += 1;
            drop(state);
            return job.responder.refuse(busy("images", waiting, self.limit));
        }
        state.encoded.push(job.responder.client(), job);
        drop(state);
        self.to_decode.notify_one();
    }

    /// Queues a text, or refuses it if too many wait.
    pub fn push_text(&self, job: Job<String>) {
        let mut state = self.lock();
        let waiting = state.texts.len();
        self.changed(&mut state);
        if waiting >= self.limit {
            state.work.refused += 1;
            drop(state);
            return job.responder.refuse(busy("texts", waiting, self.limit));
        }
        state.pass_size.text_came(Instant::now());
        state.texts.push(job.responder.client(), job);
        drop(state);
        self.to_embed.notify_one();
    }

    /// Waits for an image to decode. Decoded ahead are the images of the model's next pass and one more per decoder, so that a
    /// large image does not leave the model without work. Decoding more would only take memory.
    ///
    /// The caller ends the work with [`decoded`](Self::decoded), [`decoded_large`](Self::decoded_large) or [`set_aside`](Self::set_aside).
    pub fn next_image(&self) -> Next {
        let mut state = self.lock();
        loop {
            let ahead = state.pass_size.images(Instant::now()) + self.decoders;
            if state.decoding + state.decoded.len() < ahead {
                if !state.decoding_large
                    && let Some((job, measure)) =
                        std::iter::from_fn(|| state.large.pop()).find(|(job, _)| !job.responder.is_gone())
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

    /// Ends the work that [`next_image`](Self::next_image) began: the image is large and waits for its turn.
    pub fn set_aside(&self, job: Job<Encoded>, measure: Measure) {
        let mut state = self.lock();
        state.decoding -= 1;
        state.large.push(job.responder.client(), (job, measure));
        drop(state);
        self.to_decode.notify_one();
    }

    /// Ends the work that [`next_image`](Self::next_image) began on a large image.
    pub fn decoded_large(&self, job: Option<Job<Decoded>>) {
        self.lock().decoding_large = false;
        self.decoded(job);
        self.to_decode.notify_one();
    }

    /// Ends the work that [`next_image`](Self::next_image) began; `None` if the image needs
    /// no model, or could not be decoded.
    pub fn decoded(&self, job: Option<Job<Decoded>>) {
        let mut state = self.lock();
        state.decoding -= 1;
        let Some(job) = job else {
            drop(state);
            self.to_decode.notify_one();
            return;
        };
        state.decoded.push(job.responder.client(), job);
        drop(state);
        self.to_embed.notify_one();
    }

    /// Waits for work for the model, up to the size of a pass. Texts go first, since a user waits for them, but a batch of
    /// images goes between two batches of texts. Within its pass, [`texts_at_break`](Self::texts_at_break) gives texts.
    pub fn next_batch(&self) -> Batch {
        let mut state = self.lock();
        loop {
            let images_wait = !state.decoded.is_empty();
            if !(state.last_was_texts && images_wait) {
                let size = state.pass_size.texts();
                let texts = take_batch(&mut state.texts, size);
                if !texts.is_empty() {
                    state.work.waited += waited(&texts);
                    state.last_was_texts = true;
                    return Batch::Texts(texts);
                }
            }
            state.last_was_texts = false;
            if images_wait {
                let size = state.pass_size.images(Instant::now());
                let images = take_batch(&mut state.decoded, size);
                self.to_decode.notify_all();
                if !images.is_empty() {
                    state.work.waited += waited(&images);
                    return Batch::Images(images);
                }
                continue;
            }
            state = wait(&self.to_embed, state);
        }
    }

    /// The texts that wait, up to the size of a pass, for a break in a pass of images. Does not wait.
    pub fn texts_at_break(&self) -> Vec<Job<String>> {
        let mut state = self.lock();
        let size = state.pass_size.texts();
        let texts = take_batch(&mut state.texts, size);
        state.last_was_texts = !texts.is_empty();
        state.work.waited += waited(&texts);
        texts
    }

    /// Reports a pass of `count` images.
    pub fn images_took(&self, count: usize, time: Duration) {
        let mut state = self.lock();
        state.pass_size.images_took(count, time);
        state.done.images += count as u64;
        state.done.image_passes += 1;
        state.work.passes += time;
        self.changed(&mut state);
    }

    /// Reports a pass of `count` texts.
    pub fn texts_took(&self, count: usize, time: Duration) {
        let mut state = self.lock();
        state.pass_size.texts_took(count, time);
        state.done.texts += count as u64;
        state.done.text_passes += 1;
        state.work.passes += time;
        self.changed(&mut state);
    }

    /// Does not count texts that were answered without the queue.
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

    /// Announces a change outside of the queue that a report contains.
    pub fn announce(&self) {
        self.changed(&mut self.lock());
    }

    fn changed(&self, state: &mut State) {
        state.work.changes += 1;
        self.to_report.notify_one();
    }

    /// Waits until something has changed since the last call, which had set `seen`.
    pub fn await_change(&self, seen: &mut u64) {
        let mut state = self.lock();
        while state.work.changes == *seen {
            state = wait(&self.to_report, state);
        }
        *seen = state.work.changes;
    }

    /// What it has done, and how many inputs wait.
    pub fn work(&self) -> (Statistics, Work) {
        let work = self.lock().work;
        (self.statistics(), work)
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
    Failure::new(ErrorKind::Busy, format!("embedder queue is full: {waiting} {what} are waiting, the limit is {limit}"))
}

fn waited<Input>(jobs: &[Job<Input>]) -> Duration {
    jobs.iter().map(|job| job.responder.waited()).sum()
}

fn take_wanted<Input>(line: &mut Line<Input>) -> Option<Job<Input>> {
    std::iter::from_fn(|| line.pop()).find(|job| !job.responder.is_gone())
}

fn take_batch<Input>(line: &mut Line<Input>, size: usize) -> Vec<Job<Input>> {
    std::iter::from_fn(|| take_wanted(line)).take(size).collect()
}

#[cfg(test)]
mod tests;
