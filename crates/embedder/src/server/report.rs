//! Reports what the server has done to its parent process, as messages on standard output.

use std::os::fd::AsFd;
use std::time::Duration;

use embedder::ModelState;
use embedder::protocol::{Report, ReportedModel};

use super::Shared;

/// The shortest time between two reports.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends a report whenever something has changed. Does not return.
pub fn run(shared: &Shared) {
    let mut seen = 0;
    loop {
        shared.queue.await_change(&mut seen);
        send(shared);
        std::thread::sleep(PAUSE);
    }
}

/// Sends a report. If the parent does not read, it is dropped: the next one contains the same and more.
pub fn send(shared: &Shared) {
    let _ = rustix::io::write(std::io::stdout().as_fd(), &report(shared).encode());
}

fn report(shared: &Shared) -> Report {
    let (statistics, work) = shared.queue.work();
    let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Report {
        images: statistics.images,
        texts: statistics.texts,
        batches: statistics.image_passes + statistics.text_passes,
        wait_microseconds: microseconds(work.waited),
        batch_microseconds: microseconds(work.passes),
        busy: work.refused,
        waiting: statistics.images_waiting.saturating_add(statistics.texts_waiting),
        model: match &*shared.model_state() {
            ModelState::Ready(model) => Some(ReportedModel {
                name: model.name.clone(),
                precision: model.precision.clone(),
                untrained: model.is_untrained(),
            }),
            ModelState::Loading | ModelState::Failed { .. } => None,
        },
    }
}
