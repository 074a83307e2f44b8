//! The server: connections on one thread, decoding on several, the model on one, and a watchdog over all.
//!
//! ```text
//! socket ── connection ─┬─ image ──► queue ──► decode ──► queue ─┬─► model ─┬─► connection ── socket
//!                       └─ text ──► recent texts ─┬─ new ──► queue ─┘          │
//!                                                 └─ known ────────────────────┘
//! ```
//!
//! Texts that arrive during a pass of images are computed in its breaks, see `turns`.

mod decode;
mod model_thread;
mod pass_size;
mod queue;
mod recent_texts;
mod report;
mod slot;
mod turns;
mod watchdog;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use embedder::protocol::{Animations, Request, Response};
use embedder::{Info, ModelState, Sandbox, Statistics};
use tokio::net::UnixListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use self::queue::{Encoded, Job, Queue, Task};
use self::recent_texts::RecentTexts;
use self::watchdog::Watchdog;
use crate::front::accept::accept;
use crate::front::answers::Responder;
use crate::front::listener::Listen;
use crate::front::signals::Signals;
use crate::front::{Intake, PARTING, Room, Service, confine};
use crate::log;
use crate::packing::Packing;
use crate::sandbox::{self, Needs, ReadableFiles};

/// How the server runs.
pub struct Options {
    pub model: PathBuf,
    pub options: clip::Options,
    pub limits: clip::Limits,
    pub listen: Listen,
    /// End after this time without a request; `None` means never.
    pub idle_timeout: Option<Duration>,
    /// End if one image takes longer than this.
    pub image_timeout: Duration,
    /// Largest number of images, and of texts, that may wait.
    pub max_queue: usize,
    /// Longest forward pass, as far as the number of its inputs decides that, see [`pass_size`].
    pub max_pass_time: Duration,
    /// A GPU computes.
    pub graphics: bool,
    /// Standard output is a socket whose other end wants reports.
    pub report: bool,
}

/// State that all connections and threads share.
struct Shared {
    queue: Queue,
    recent_texts: RecentTexts,
    watchdog: Watchdog,
    intake: Intake,
    model: Mutex<ModelState>,
    sandbox: Mutex<Sandbox>,
    readable: ReadableFiles,
    /// Set after the first attempt to load the model. No untrusted byte is decoded before.
    first_load: OnceLock<()>,
    /// Notified when only a new process can read the model.
    succession: Notify,
    limits: clip::Limits,
    threads: usize,
}

impl Shared {
    fn info(&self) -> Info {
        Info {
            pid: std::process::id(),
            threads: self.threads as u32,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            statistics: Statistics { texts_remembered: self.recent_texts.found(), ..self.queue.statistics() },
            sandbox: self.sandbox().clone(),
            model: self.model_state().clone(),
        }
    }

    fn sandbox(&self) -> std::sync::MutexGuard<'_, Sandbox> {
        self.sandbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends this process in good order, so that its supervisor starts the next one, which has the rights that this one has
    /// given up.
    fn end_for_successor(&self, why: &str) {
        log::line(format_args!("{why}: ending, so that the next process reads it"));
        self.succession.notify_one();
    }

    fn model_state(&self) -> std::sync::MutexGuard<'_, ModelState> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Shared {
    fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Answers a request if that takes no work; otherwise puts it in its queue.
    fn take(&self, request: Request, budget: Room, responder: Responder) {
        let queue_image = |image: Bytes, animations: Animations, task: Task, responder: Responder| {
            let animations = match animations {
                Animations::FirstFrame => clip::Animations::FirstFrame,
                Animations::Refuse => clip::Animations::Refuse,
            };
            self.queue.push_image(Job { input: Encoded { image, animations, task, _budget: budget }, responder });
        };
        match request {
            Request::Image(image, animations) => queue_image(image, animations, Task::Embed, responder),
            Request::ImageWithThumbnail(image, animations) => {
                queue_image(image, animations, Task::EmbedWithThumbnail, responder);
            }
            Request::Thumbnail(image, side) => {
                queue_image(image, Animations::FirstFrame, Task::Thumbnail(side), responder);
            }
            Request::Text(input) => match self.recent_texts.get(&input) {
                Some(answer) => responder.answer(&answer),
                None => self.queue.push_text(Job { input, responder }),
            },
            Request::Info => responder.answer(&Response::Info(Box::new(self.info()))),
            Request::Embedders => responder.answer(&Response::Embedders(Vec::new())),
            _ => unreachable!("a request that is decoded but not served: this is a bug"),
        }
    }
}

/// Serves until a signal or the idle timeout. Call [`Confinement::apply`](confine::Confinement::apply) first.
///
/// Everything that needs rights is done first: the socket, the runtime with its descriptors, and the process that packs the
/// weights. Then the process enters its sandbox. Threads start and connections are accepted only after that.
///
/// # Errors
///
/// If the socket cannot be used or a thread cannot be started.
pub fn run(options: Options) -> io::Result<()> {
    let endpoint = options.listen.open()?;
    let socket_directory = endpoint.directory().map(ToOwned::to_owned);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (signals, (listener, socket_file)) = {
        let _within = runtime.enter();
        (Signals::new()?, endpoint.into_parts()?)
    };
    let decoders = decode::threads(options.options.threads.get(), &options.limits);
    let packing = Packing::start(&options.model, &options.options);
    confine::write_no_file()?;
    let (sandbox, readable) = sandbox::enter(&Needs {
        model: &options.model,
        files: &[],
        socket_directory: socket_directory.as_deref(),
        graphics: options.graphics,
    });
    let shared = Arc::new(Shared {
        queue: Queue::new(options.max_queue, options.max_pass_time, decoders),
        recent_texts: RecentTexts::new(),
        watchdog: Watchdog::default(),
        intake: Intake::new(options.limits.max_bytes),
        model: Mutex::new(ModelState::Loading),
        sandbox: Mutex::new(sandbox),
        readable,
        first_load: OnceLock::new(),
        succession: Notify::new(),
        limits: options.limits,
        threads: options.options.threads.get(),
    });
    start_threads(&shared, options.model, options.options, options.image_timeout, packing, options.report, decoders)?;
    runtime.block_on(serve(Arc::clone(&shared), listener, signals, options.idle_timeout));
    if options.report {
        report::send(&shared);
    }
    drop(socket_file);
    Ok(())
}

/// Runs `work`, and ends the process if it panics.
fn or_end(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        end_unexpectedly();
    }
}

fn end_unexpectedly() -> ! {
    log::line(format_args!("a thread ended unexpectedly: this is a bug"));
    std::process::exit(1);
}

fn start_threads(
    shared: &Arc<Shared>,
    model: PathBuf,
    options: clip::Options,
    image_timeout: Duration,
    packing: Packing,
    report: bool,
    decoders: usize,
) -> io::Result<()> {
    let start = |name: &str, work: Box<dyn FnOnce(&Shared) + Send>| {
        let shared = Arc::clone(shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // These threads never return: without one of them, every request would wait forever.
                or_end(|| work(&shared));
                end_unexpectedly();
            })
            .map(drop)
    };
    start("watchdog", Box::new(move |shared| shared.watchdog.run(image_timeout)))?;
    if report {
        start("report", Box::new(report::run))?;
    }
    for _ in 0..decoders {
        start("decode", Box::new(decode::run))?;
    }
    start("model", Box::new(move |shared| model_thread::run(shared, model, &options, packing)))
}

async fn serve(shared: Arc<Shared>, listener: UnixListener, mut signals: Signals, idle_timeout: Option<Duration>) {
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();

    tokio::select! {
        never = accept(&listener, &shared, &stopped, &mut connections) => match never {},
        () = shared.intake.activity.idle_for(idle_timeout) => {}
        () = shared.succession.notified() => {}
        () = signals.recv() => {}
    }
    // From here on no connection is accepted and no request read. Connections in the listening socket's queue are left to
    // the next process. A client that gets a goodbye instead of an answer sends its request to that process.
    stop.send_replace(true);
    let _ = tokio::time::timeout(PARTING, connections.join_all()).await;
}
