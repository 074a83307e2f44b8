//! What the embedder has done, for all databases of the cluster. Only the supervisor writes it: the embedder reports its work since
//! it started, and the supervisor adds what is new.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, fence};

use embedder::protocol::{Report, ReportedModel};

use super::memory;

/// Bytes of a text that are kept.
const TEXT: usize = 64;

/// Zeros are an embedder that never ran.
#[repr(C)]
pub struct Embedder {
    counters: [AtomicU64; NUMBER],
    queue_depth: AtomicU32,
    running: AtomicBool,
    loaded: AtomicBool,
    reset_at: AtomicI64,
    /// Odd while the model is written.
    version: AtomicU64,
    model: [AtomicU64; TEXT / 8],
    precision: [AtomicU64; TEXT / 8],
    untrained: AtomicBool,
}

/// The counters of [`Embedder`]. Times are in microseconds.
#[derive(Clone, Copy)]
#[repr(usize)]
pub enum Count {
    Images,
    Texts,
    Batches,
    QueueWaitTime,
    BatchTime,
    BusyRejections,
    Starts,
    Deaths,
}

const NUMBER: usize = Count::Deaths as usize + 1;

/// The row of `pinterest.stat_embedder`.
pub struct Snapshot {
    counters: [u64; NUMBER],
    pub queue_depth: u32,
    pub loaded: bool,
    /// The model that was loaded last; texts are truncated.
    pub model: Option<ReportedModel>,
    /// Microseconds since 2000-01-01 UTC.
    pub reset_at: i64,
}

impl Snapshot {
    pub fn get(&self, count: Count) -> i64 {
        i64::try_from(self.counters[count as usize]).unwrap_or(i64::MAX)
    }

    pub fn milliseconds(&self, count: Count) -> f64 {
        self.get(count) as f64 / 1000.0
    }
}

impl Embedder {
    /// Counts from this moment on.
    pub fn begin(&self, now: i64) {
        self.reset_at.store(now, Relaxed);
    }

    pub fn reset(&self, now: i64) {
        self.counters.iter().for_each(|counter| counter.store(0, Relaxed));
        self.begin(now);
    }

    fn add(&self, count: Count, number: u64) {
        self.counters[count as usize].fetch_add(number, Relaxed);
    }

    fn set_model(&self, model: &ReportedModel) {
        // Odd already if a supervisor has ended while it wrote.
        let odd = self.version.load(Relaxed) | 1;
        self.version.store(odd, Relaxed);
        // Who reads a part of the new model finds the odd version, or a later one, after it.
        fence(Release);
        write(&self.model, &model.name);
        write(&self.precision, &model.precision);
        self.untrained.store(model.untrained, Relaxed);
        self.version.store(odd.wrapping_add(1), Release);
    }

    fn model(&self) -> Option<ReportedModel> {
        // The supervisor writes rarely, and for less than a microsecond.
        for _ in 0..1000 {
            let before = self.version.load(Acquire);
            let (name, precision) = (read(&self.model), read(&self.precision));
            let untrained = self.untrained.load(Relaxed);
            fence(Acquire);
            if before.is_multiple_of(2) && self.version.load(Relaxed) == before {
                return (!name.is_empty()).then_some(ReportedModel { name, precision, untrained });
            }
            std::hint::spin_loop();
        }
        None
    }

    /// The counters and when they were reset, to be written to the file.
    pub fn dump(&self) -> (i64, Vec<u64>) {
        (self.reset_at.load(Relaxed), self.counters.iter().map(|counter| counter.load(Relaxed)).collect())
    }

    /// The opposite of [`dump`](Self::dump).
    pub fn load(&self, reset_at: i64, numbers: &[u64]) {
        self.begin(reset_at);
        for (counter, number) in self.counters.iter().zip(numbers) {
            counter.store(*number, Relaxed);
        }
    }
}

fn write(text: &[AtomicU64], value: &str) {
    let mut bytes = [0; TEXT];
    let value = &value.as_bytes()[..value.floor_char_boundary(TEXT)];
    bytes[..value.len()].copy_from_slice(value);
    for (part, bytes) in text.iter().zip(bytes.as_chunks().0) {
        part.store(u64::from_le_bytes(*bytes), Relaxed);
    }
}

fn read(text: &[AtomicU64]) -> String {
    let bytes: Vec<u8> = text.iter().flat_map(|part| part.load(Relaxed).to_le_bytes()).collect();
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// The present state; `None` if it is not kept.
pub fn snapshot() -> Option<Snapshot> {
    let embedder = &memory::memory()?.header.embedder;
    Some(Snapshot {
        counters: std::array::from_fn(|index| embedder.counters[index].load(Relaxed)),
        queue_depth: embedder.queue_depth.load(Relaxed),
        loaded: embedder.loaded.load(Relaxed),
        model: embedder.model(),
        reset_at: embedder.reset_at.load(Relaxed),
    })
}

/// Whether the weights that were loaded last are known to be random numbers.
pub fn is_untrained() -> bool {
    memory::attach().is_ok() && snapshot().and_then(|found| found.model).is_some_and(|model| model.untrained)
}

/// Whether the program runs.
pub fn is_running() -> bool {
    memory::memory().is_some_and(|memory| memory.header.embedder.running.load(Relaxed))
}

/// The reports of one run of the program.
#[derive(Default)]
pub struct Run {
    last: Report,
}

impl Run {
    /// The program has started.
    pub fn begin() -> Self {
        count(Count::Starts);
        if let Some(memory) = memory::memory() {
            memory.header.embedder.running.store(true, Relaxed);
        }
        Run::default()
    }

    /// Adds what is new in a report.
    pub fn reported(&mut self, report: Report) {
        let Some(memory) = memory::memory() else { return };
        let embedder = &memory.header.embedder;
        let last = &self.last;
        for (counter, now, before) in [
            (Count::Images, report.images, last.images),
            (Count::Texts, report.texts, last.texts),
            (Count::Batches, report.batches, last.batches),
            (Count::QueueWaitTime, report.wait_microseconds, last.wait_microseconds),
            (Count::BatchTime, report.batch_microseconds, last.batch_microseconds),
            (Count::BusyRejections, report.busy, last.busy),
        ] {
            embedder.add(counter, now.saturating_sub(before));
        }
        embedder.queue_depth.store(report.waiting, Relaxed);
        embedder.loaded.store(report.model.is_some(), Relaxed);
        if let Some(model) = &report.model
            && report.model != last.model
        {
            embedder.set_model(model);
        }
        self.last = report;
    }
}

impl Drop for Run {
    /// The program has ended.
    fn drop(&mut self) {
        if let Some(memory) = memory::memory() {
            memory.header.embedder.queue_depth.store(0, Relaxed);
            memory.header.embedder.loaded.store(false, Relaxed);
            memory.header.embedder.running.store(false, Relaxed);
        }
    }
}

/// The program has ended because of an error, or was killed.
pub fn died() {
    count(Count::Deaths);
}

fn count(count: Count) {
    if let Some(memory) = memory::memory() {
        memory.header.embedder.add(count, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn unused() -> Embedder {
        Embedder {
            counters: [const { AtomicU64::new(0) }; NUMBER],
            queue_depth: AtomicU32::new(0),
            running: AtomicBool::new(false),
            loaded: AtomicBool::new(false),
            reset_at: AtomicI64::new(0),
            version: AtomicU64::new(0),
            model: [const { AtomicU64::new(0) }; TEXT / 8],
            precision: [const { AtomicU64::new(0) }; TEXT / 8],
            untrained: AtomicBool::new(false),
        }
    }

    fn model(text: &str, untrained: bool) -> ReportedModel {
        ReportedModel { name: text.to_owned(), precision: text.to_owned(), untrained }
    }

    #[test]
    fn a_reader_finds_what_belongs_together() {
        const TIMES: usize = 20_000;
        let embedder = unused();
        let models = [model(&"a".repeat(TEXT), false), model(&"b".repeat(TEXT), true)];
        thread::scope(|scope| {
            scope.spawn(|| models.iter().cycle().take(TIMES).for_each(|model| embedder.set_model(model)));
            for _ in 0..TIMES {
                if let Some(found) = embedder.model() {
                    assert!(models.contains(&found), "{found:?}");
                }
            }
        });
        assert_eq!(embedder.model().as_ref(), Some(&models[1]));
    }

    #[test]
    fn a_writer_that_has_ended_halfway_does_not_hide_the_next_model() {
        let embedder = unused();
        embedder.version.store(7, Relaxed);
        assert_eq!(embedder.model(), None);
        embedder.set_model(&model("clip", true));
        assert_eq!(embedder.model(), Some(model("clip", true)));
    }
}
