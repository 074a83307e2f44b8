//! A server that computes nothing itself: it accepts clients of this and of other machines, and spreads their requests over
//! embedders, one of which it may start on this machine.
//!
//! ```text
//! clients ── front ── service ── pool ─┬─ member ── Unix socket ── embedder on this machine (sandboxed)
//!                                      ├─ member ── TLS ── another machine's gateway
//!                                      └─ …
//! ```
//!
//! It reads frames and certificates, and never decodes an image.

mod clients;
mod handshakes;
mod local;
mod member;
mod names;
mod pool;
mod service;
mod window;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use embedder::protocol::{Report, ReportedModel};
use embedder::{ModelState, Place, Places};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::clients::Clients;
use self::local::Local;
use self::member::Common;
use self::pool::{Pool, Reference};
use self::service::Gateway;
use crate::front::accept::accept;
use crate::front::listener::Listen;
use crate::front::signals::Signals;
use crate::front::{Intake, PARTING};
use crate::log;
use crate::tls::Tls;

/// The time that embedders without one on this machine have for a first answer, before the model of most is the model.
const FIRST_ANSWERS: Duration = Duration::from_secs(5);

/// For how long the model of embedders that are away is kept, if others have another one.
const KEEP: Duration = Duration::from_secs(60);

/// The shortest time between two reports.
const REPORTS: Duration = Duration::from_millis(100);

/// How the server runs.
pub struct Options {
    pub places: Places,
    /// A Unix socket to serve this machine.
    pub unix: Option<Listen>,
    /// An address to serve other machines.
    pub tcp: Option<SocketAddr>,
    /// For other machines, in either direction.
    pub tls: Option<Tls>,
    /// The command line of the embedder on this machine, after `serve`.
    pub local: Vec<OsString>,
    /// End after this time without a request; `None` means never.
    pub idle_timeout: Option<Duration>,
    /// How long an embedder may take to say that it is well.
    pub patience: Duration,
    pub max_image_bytes: usize,
    /// The most requests in flight of one client on another machine.
    pub max_per_client: usize,
    /// For how long requests of other machines are answered when the process ends.
    pub drain: Duration,
    /// Standard output is a socket whose other end wants reports.
    pub report: bool,
}

/// Serves until a signal or the idle timeout.
///
/// # Errors
///
/// If a socket cannot be used.
pub fn run(options: Options) -> io::Result<()> {
    let endpoint = options.unix.as_ref().map(Listen::open).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = Signals::new()?;
        let unix = endpoint.map(|endpoint| endpoint.into_parts()).transpose()?;
        let (unix, _socket_file) = unix.map_or((None, None), |(listener, file)| (Some(listener), file));
        let tcp = match options.tcp {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        serve(options, unix, tcp, signals).await
    })?;
    // A thread may still look up a name.
    runtime.shutdown_background();
    Ok(())
}

async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("could not listen at {address}: {error}")))?;
    // With port 0 the system has chosen one.
    log::line(format_args!("listens at {}", listener.local_addr()?));
    Ok(listener)
}

async fn serve(
    options: Options,
    unix: Option<UnixListener>,
    tcp: Option<TcpListener>,
    mut signals: Signals,
) -> io::Result<()> {
    let tls = options.tls.map(Arc::new);
    let local = if options.places.include_local() { Some(Arc::new(Local::new(options.local)?)) } else { None };
    let mut tasks = JoinSet::new();
    let (pool, local_id) = match &local {
        Some(_) => {
            // Identifiers count from 0 on, and this is the first.
            let id = pool::MemberId(0);
            let pool = Pool::new(Reference::Of(id));
            let added = pool.add(Place::Local.to_string(), String::new());
            debug_assert_eq!(added, id);
            (pool, Some(id))
        }
        None => (Pool::new(Reference::OfMost(KEEP)), None),
    };
    let common = Arc::new(Common::new(Arc::clone(&pool), options.patience));
    if let (Some(local), Some(id)) = (&local, local_id) {
        let process = Arc::clone(local);
        tasks.spawn(async move {
            process.run().await;
        });
        let (common, local) = (Arc::clone(&common), Arc::clone(local));
        tasks.spawn(async move { member::run(&common, id, "local", &*local, Some(local.hangs())).await });
    }
    for place in options.places.iter() {
        if let (Place::Remote { host, port }, Some(tls)) = (place, &tls) {
            tasks.spawn(names::follow(Arc::clone(&common), Arc::clone(tls), host.clone(), *port));
        }
    }
    tasks.spawn(async move {
        tokio::time::sleep(FIRST_ANSWERS).await;
        pool.decide();
    });
    if let Some(tls) = &tls {
        let tls = Arc::clone(tls);
        tasks.spawn(async move {
            tls.watch().await;
        });
    }
    let gateway = Gateway::new(Intake::new(options.max_image_bytes), common);
    if options.report {
        let (gateway, local) = (gateway.clone(), local.clone());
        tasks.spawn(async move { report(&gateway, local.as_deref()).await });
    }

    let service = Arc::new(gateway.clone());
    let clients = Arc::new(Clients::new(options.max_per_client, options.drain));
    let (stop, stopped) = watch::channel(false);
    let (mut over_unix, mut over_tls) = (JoinSet::new(), JoinSet::new());
    tokio::select! {
        never = async {
            match &unix {
                Some(listener) => accept(listener, &service, &stopped, &mut over_unix).await,
                None => std::future::pending().await,
            }
        } => match never {},
        never = async {
            match (&tcp, &tls) {
                (Some(listener), Some(tls)) => {
                    clients::accept(listener, tls, &clients, &gateway, &stopped, &mut over_tls).await
                }
                _ => std::future::pending().await,
            }
        } => match never {},
        () = gateway.0.intake.activity.idle_for(options.idle_timeout) => {}
        () = signals.recv() => {}
    }
    // Requests without an answer get a goodbye, and their clients give them to other embedders.
    drop(tcp);
    stop.send_replace(true);
    let parting = async { (over_unix.join_all().await, over_tls.join_all().await) };
    let _ = tokio::time::timeout(options.drain + PARTING, parting).await;
    if options.report {
        send(&made(&gateway, local.as_deref()));
    }
    Ok(())
}

/// Sends a report to the parent process whenever something has changed.
async fn report(gateway: &Gateway, local: Option<&Local>) {
    let mut last = Report::default();
    loop {
        let next = made(gateway, local);
        if next != last {
            send(&next);
            last = next;
        }
        tokio::time::sleep(REPORTS).await;
    }
}

/// If the parent does not read, the report is dropped: the next one contains the same and more.
fn send(report: &Report) {
    let _ = rustix::io::write(io::stdout().as_fd(), &report.encode());
}

/// What this process has answered, and what the embedder on this machine has to say of its passes.
fn made(gateway: &Gateway, local: Option<&Local>) -> Report {
    let shared = &gateway.0;
    Report {
        images: shared.images.load(Ordering::Relaxed),
        texts: shared.texts.load(Ordering::Relaxed),
        busy: shared.refused.load(Ordering::Relaxed),
        waiting: u32::try_from(shared.common.pool.waiting()).unwrap_or(u32::MAX),
        model: match gateway.info().model {
            ModelState::Ready(model) => {
                let untrained = model.is_untrained();
                Some(ReportedModel { name: model.name, precision: model.precision, untrained })
            }
            ModelState::Loading | ModelState::Failed { .. } => None,
        },
        ..local.map(Local::report).unwrap_or_default()
    }
}
