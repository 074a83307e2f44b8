//! A look at everything an import depends on.

use std::ffi::CStr;
use std::time::Duration;

use embedder::{Info, ModelState};
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pinterest::Client;

use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::identity::as_worker;
use crate::postgres::platform;
use crate::secrets::tokens::Sealer;
use crate::settings;
use crate::settings::CloneFence;
use crate::store::model::share_of;
use crate::store::track::work as track;
use crate::store::{app_access, app_breaker, databases, extension, grants, installation, reassign, seal, surroundings};
use crate::workers::pause;
use crate::workers::registry::{self, Worker};

/// How long the embedder may take to start and load its model before that is a finding.
const PATIENCE: Duration = Duration::from_secs(10);

/// A worker whose main loop has not gone round for so many seconds is stuck; none of its steps should take as long.
const SILENCE: f64 = 10.0;
/// A transaction that is open for so many seconds holds up claims of work and VACUUM.
const OLD: f64 = 30.0;
/// A refusal of a worker's start is news for so many seconds.
const RECENT: f64 = 600.0;

/// What a check found.
enum Finding {
    Good(String),
    Note(String),
    /// A note with a hint.
    Advice(String, String),
    Bad(String, String),
}

impl Finding {
    fn of(result: Result<String, Failure>) -> Self {
        match result {
            Ok(detail) => Finding::Good(detail),
            Err(failure) => Finding::Bad(failure.message.clone(), failure.hint().unwrap_or_default().to_owned()),
        }
    }
}

type Check = (&'static str, fn() -> Finding);

/// In the order in which things depend on each other.
const CHECKS: &[Check] = &[
    ("version", version),
    ("preloaded", preloaded),
    ("pgvector", pgvector),
    ("schema", schema),
    ("worker role", worker_role),
    ("clone fence", clone_fence),
    ("hosts", hosts),
    ("proxy", proxy),
    ("key", key),
    ("secrets", secrets),
    ("apps", apps),
    ("app access", access_of_apps),
    ("owners", owners),
    ("model directory", model_directory),
    ("embedder program", embedder_program),
    ("embedder", embedder_answers),
    ("embedder confinement", embedder_confinement),
    ("embeddings", embeddings),
    ("tracked columns", tracked_columns),
    ("tracked image hosts", tracked_image_hosts),
    ("launcher", launcher),
    ("worker", worker),
    ("worker slots", worker_slots),
    ("transactions", transactions),
];

/// Checks what an import depends on, one row each.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)] // Columns of an SQL function.
fn pinterest_doctor() -> Result<
    TableIterator<
        'static,
        (name!(check_name, String), name!(status, String), name!(detail, String), name!(hint, Option<String>)),
    >,
    ErrorReport,
> {
    let rows: Vec<_> = CHECKS
        .iter()
        .map(|(name, check)| {
            let (status, detail, hint) = match check() {
                Finding::Good(detail) => ("ok", detail, None),
                Finding::Note(detail) => ("note", detail, None),
                Finding::Advice(detail, hint) => ("note", detail, Some(hint)),
                Finding::Bad(detail, hint) => ("problem", detail, (!hint.is_empty()).then_some(hint)),
            };
            ((*name).to_owned(), status.to_owned(), detail, hint)
        })
        .collect();
    Ok(TableIterator::new(rows))
}

fn version() -> Finding {
    let library = env!("CARGO_PKG_VERSION");
    match extension::version() {
        Ok(Some(sql)) if sql == library => Finding::Good(format!("library and SQL objects are {library}")),
        Ok(Some(sql)) => Finding::Bad(
            format!("the library is {library}, the SQL objects are {sql}; workers stay idle"),
            "ALTER EXTENSION pg_pinterest UPDATE, or install the library of that version.".to_owned(),
        ),
        Ok(None) => Finding::Bad("the extension is not created in this database".to_owned(), String::new()),
        Err(failure) => Finding::of(Err(failure)),
    }
}

fn preloaded() -> Finding {
    if platform::is_preloaded() {
        Finding::Good("in shared_preload_libraries: workers start with the server".to_owned())
    } else {
        Finding::Note(
            "not in shared_preload_libraries: workers start with the first call that needs them, and not by themselves \
             after a restart of the server"
                .to_owned(),
        )
    }
}

/// Whether others can put functions beside the extension's, which a call may then mean.
fn schema() -> Finding {
    let neighbours = match surroundings::neighbours() {
        Ok(Some(neighbours)) => neighbours,
        Ok(None) => return Finding::Note("the extension is not created in this database".to_owned()),
        Err(failure) => return Finding::of(Err(failure)),
    };
    let schema = &neighbours.schema;
    if !neighbours.namesakes.is_empty() {
        return Finding::Bad(
            format!("others' functions bear names of the extension's: {}", neighbours.namesakes.join(", ")),
            format!("Look at them and drop them; REVOKE CREATE ON SCHEMA {schema} from their owners."),
        );
    }
    if neighbours.creators.is_empty() {
        return Finding::Good(format!("{schema}: only superusers create functions there"));
    }
    Finding::Note(format!(
        "{schema}: {} may create functions there, and one that fits a call better than the extension's is called instead; \
         REVOKE CREATE ON SCHEMA {schema} prevents that",
        neighbours.creators.join(", ")
    ))
}

/// Whether somebody can act as the role that reads every account.
fn worker_role() -> Finding {
    match surroundings::faults_of_worker_role() {
        Err(failure) => Finding::of(Err(failure)),
        Ok(faults) if faults.is_empty() => Finding::Good("pinterest_worker: nobody can act as it".to_owned()),
        Ok(faults) => Finding::Bad(
            format!("pinterest_worker: {}", faults.join(", ")),
            "A role that can act as it can read every account and every sealed token. Revoke that.".to_owned(),
        ),
    }
}

fn pgvector() -> Finding {
    match extension::pgvector() {
        Ok(Some(version)) if version.has_known_faults() => Finding::Bad(
            format!(
                "{version}: before 0.8.2 a parallel build of an HNSW index can read and write beyond a buffer \
                 (CVE-2026-3172), before 0.8.3 a vacuum can damage one"
            ),
            "Install pgvector 0.8.3 or newer, ALTER EXTENSION vector UPDATE, REINDEX the HNSW indexes. Until then build \
             them with SET max_parallel_maintenance_workers = 0."
                .to_owned(),
        ),
        Ok(Some(version)) => Finding::Good(version.to_string()),
        Ok(None) => Finding::Bad("not created in this database".to_owned(), String::new()),
        Err(failure) => Finding::of(Err(failure)),
    }
}

fn clone_fence() -> Finding {
    let fence = settings::clone_fence();
    let checked = may_send();
    let rule = match fence {
        CloneFence::Off => {
            return Finding::Note("off: nothing keeps a copy of this database from sending requests".to_owned());
        }
        CloneFence::On => "on: this database may send requests; a restored dump or a logical subscriber may not",
        CloneFence::Strict => {
            "strict: this database on this host may send requests; no copy may, and no promoted standby"
        }
    };
    Finding::of(checked.map(|()| rule.to_owned()))
}

/// Whether this database is no copy that has to be quiet.
fn may_send() -> Result<(), Failure> {
    as_worker(|| match installation::find()? {
        None => Ok(()),
        Some(installation) => installation.check_not_a_copy(),
    })
}

fn hosts() -> Finding {
    match settings::endpoints() {
        Err(failure) => Finding::of(Err(failure)),
        Ok(endpoints) => {
            let images: Vec<_> = endpoints.images.iter().map(ToString::to_string).collect();
            let text = format!("API {}, images {}", endpoints.api, images.join(", "));
            if endpoints == pinterest::Endpoints::default() {
                Finding::Good(text)
            } else {
                Finding::Note(format!("{text}: not Pinterest's own"))
            }
        }
    }
}

fn proxy() -> Finding {
    let endpoints = match settings::endpoints() {
        Ok(endpoints) => endpoints,
        Err(failure) => return Finding::of(Err(failure)),
    };
    let Some(proxy) = endpoints.proxy.clone() else {
        return Finding::Good("none: requests go straight to their hosts".to_owned());
    };
    let mut text = proxy.address.to_string();
    if !proxy.bypass.is_empty() {
        let bypass: Vec<_> = proxy.bypass.iter().map(ToString::to_string).collect();
        text.push_str(&format!(", not for {}", bypass.join(", ")));
    }
    if may_send().is_err() {
        return Finding::Note(format!("{text}; not asked, because this database sends no requests"));
    }
    let asked = block_on(move || async move { Client::new(endpoints)?.ask_proxy().await.map_err(Failure::from) });
    Finding::of(asked.map(|asked| match asked {
        Some(host) => format!("{text}; opens connections to {host}"),
        None => format!("{text}; no host is reached through it"),
    }))
}

fn key() -> Finding {
    let configured = settings::key_file().is_some() || settings::key_command().is_some();
    // Made on first use; a look should not make it.
    let nothing_sealed = || as_worker(|| Ok(seal::by_key()?.is_empty())).unwrap_or(false);
    if !configured && !platform::data_directory().join("pinterest.key").exists() && nothing_sealed() {
        return Finding::Note("no key yet: one is made in the data directory with the first secret".to_owned());
    }
    let active = as_worker(|| Ok(format!("active key {}", crate::secrets::keys::ring()?.active())));
    match Finding::of(active) {
        Finding::Good(text) if !configured => Finding::Note(format!(
            "{text}, in the data directory, so in base backups too: copy it out, set pinterest.key_file, restart or reload, then remove it"
        )),
        other => other,
    }
}

fn secrets() -> Finding {
    let checked = as_worker(|| {
        let Some(installation) = installation::find()? else { return Ok(Finding::Good("none yet".to_owned())) };
        if let Err(copy) = installation.check_not_a_copy() {
            return Ok(Finding::Note(format!("not looked at: {copy}")));
        }
        let sealer = Sealer::open()?;
        let (named, missing) = sealer.named_keys()?;
        if !missing.is_empty() {
            return Ok(Finding::of(Err(sealer.missing_keys(&missing))));
        }
        let (active, _) = sealer.keys();
        let all: i64 = named.iter().map(|key| key.secrets).sum();
        let old: i64 = named.iter().filter(|key| key.fingerprint != active).map(|key| key.secrets).sum();
        Ok(match (old, installation.rotation.is_some()) {
            (0, _) => Finding::Good(format!("{all}, all sealed with the active key")),
            (_, true) => Finding::Note(format!("{old} of {all} wait for being sealed with the active key")),
            (_, false) => Finding::Note(format!(
                "{old} of {all} are sealed with an older key; pinterest_rotate_key() seals them anew"
            )),
        })
    });
    checked.unwrap_or_else(|failure| Finding::of(Err(failure)))
}

/// Those that the caller may see.
fn apps() -> Finding {
    match app_breaker::paused() {
        Ok(paused) if paused.is_empty() => Finding::Good("none is paused".to_owned()),
        Ok(paused) => Finding::Bad(
            format!("refreshes are paused: {}", paused.join("; ")),
            "Compare client id and secret with the app's page at Pinterest; pinterest_register_app() ends the pause."
                .to_owned(),
        ),
        Err(failure) => Finding::of(Err(failure)),
    }
}

/// Those that the caller may see, too.
fn access_of_apps() -> Finding {
    match app_access::without() {
        Ok(without) if without.is_empty() => Finding::Good("Pinterest refuses none".to_owned()),
        Ok(without) => Finding::Bad(
            format!("Pinterest has not granted access: {}", without.join("; ")),
            Failure::new(Kind::AppAccess, "").hint().unwrap_or_default().to_owned(),
        ),
        Err(failure) => Finding::of(Err(failure)),
    }
}

/// All of them for who administers the extension; others own nothing of roles that are gone.
fn owners() -> Finding {
    // SAFETY: a plain read of a process-wide variable.
    let ownerless = match grants::is_admin(unsafe { pg_sys::GetUserId() }) {
        Ok(true) => as_worker(reassign::ownerless),
        Ok(false) => Ok(Vec::new()),
        Err(failure) => Err(failure),
    };
    match ownerless {
        Ok(ownerless) if ownerless.is_empty() => Finding::Good("every one is a role".to_owned()),
        Ok(ownerless) => {
            let all: Vec<_> = ownerless
                .iter()
                .map(|left| {
                    format!(
                        "\"{}\": apps {}, accounts {}, tracked columns {}",
                        left.owner, left.apps, left.accounts, left.tracked_columns
                    )
                })
                .collect();
            Finding::Bad(
                format!("{} are not roles: {}", all.len(), all.join("; ")),
                "pinterest_reassign(owner, role) gives what belongs to them to a role; \
                 pinterest_disconnect(account_id, purge => true) deletes an account. Until then only superusers see it, and its imports wait."
                    .to_owned(),
            )
        }
        Err(failure) => Finding::of(Err(failure)),
    }
}

fn model_directory() -> Finding {
    match settings::model_dir() {
        None => Finding::Bad(
            "pinterest.model_dir is not set".to_owned(),
            "Set it to a directory made by pgvector_setup/clip-weights or pinterest-embedder init-model.".to_owned(),
        ),
        Some(path) => Finding::Good(path.display().to_string()),
    }
}

fn embedder_program() -> Finding {
    let path = settings::embedder_path();
    if path.is_file() {
        Finding::Good(path.display().to_string())
    } else {
        Finding::Bad(
            format!("{} is not there", path.display()),
            "make install puts it beside the server's programs; pinterest.embedder_path names another place."
                .to_owned(),
        )
    }
}

/// What keeps a check from asking the embedder.
fn not_asked() -> Option<Finding> {
    let reason = if settings::model_dir().is_none() {
        "not asked: it has no model"
    } else if !registry::is_running(Worker::Supervisor) {
        "not started; the first call that embeds starts it"
    } else {
        return None;
    };
    Some(Finding::Note(reason.to_owned()))
}

/// The embedder's own word, once it has loaded its model or failed to.
fn ask_embedder() -> Result<Info, Failure> {
    block_on(|| async {
        let client = embedder::Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await?;
        client.ready(PATIENCE).await
    })
    .map_err(|failure: Failure| match failure.kind {
        Kind::Busy => failure.with_hint("See the server log for the reason."),
        _ => failure,
    })
}

fn embedder_answers() -> Finding {
    if let Some(note) = not_asked() {
        return note;
    }
    let info = match ask_embedder() {
        Ok(info) => info,
        Err(failure) => return Finding::of(Err(failure)),
    };
    match info.model {
        ModelState::Ready(model) => {
            let text = format!(
                "process {}, {} threads, model {} ({} by kernels {}, {} numbers)",
                info.pid, info.threads, model.name, model.precision, model.kernels, model.dimension
            );
            let doubt =
                model.precision.starts_with("int8").then(|| "int8 is not validated on trained weights".to_owned());
            let remarks: Vec<String> = doubt.into_iter().chain(model.notice).collect();
            if remarks.is_empty() {
                Finding::Good(text)
            } else {
                Finding::Note(format!("{text}; {}", remarks.join("; ")))
            }
        }
        ModelState::Failed { kind, message } => Finding::of(Err(Failure::from_embedder(kind, message))),
        ModelState::Loading => Finding::Note("loading its model".to_owned()),
    }
}

/// What keeps a fault in a decoder from the server's files, the network and other processes.
fn embedder_confinement() -> Finding {
    if let Some(note) = not_asked() {
        return note;
    }
    match ask_embedder() {
        Ok(Info { sandbox, .. }) if sandbox.gap.is_none() => Finding::Good(sandbox.to_string()),
        Ok(Info { sandbox, .. }) => {
            Finding::Note(format!("{sandbox}. A fault in a decoder of pictures could reach what the server's user can"))
        }
        Err(failure) => Finding::of(Err(failure)),
    }
}

/// Of the images that the caller may see: does the model that the embedder runs now have them all?
fn embeddings() -> Finding {
    if let Some(note) = not_asked() {
        return note;
    }
    let Ok(Info { model: ModelState::Ready(model), .. }) = ask_embedder() else {
        return Finding::Note("not looked at: the embedder has no model".to_owned());
    };
    match share_of(model.fingerprint.as_bytes()) {
        Ok((all, own)) if all == own => Finding::Good(format!("{all}, all by the embedder's model")),
        Ok((all, own)) => Finding::Note(format!(
            "{} of {all} are by other models than the embedder's; \
             pinterest_reembed_board() embeds them again, SELECT * FROM pinterest.models lists them",
            all - own
        )),
        Err(failure) => Finding::of(Err(failure)),
    }
}

/// Those that the caller may see.
fn tracked_columns() -> Finding {
    let summary = match track::summary() {
        Ok(summary) => summary,
        Err(failure) => return Finding::of(Err(failure)),
    };
    let text = format!("{}; rows pending {}, failed {}", summary.columns, summary.pending, summary.failed);
    match summary.problem {
        _ if summary.columns == 0 => Finding::Good("none".to_owned()),
        Some(problem) => Finding::Bad(
            format!("{text}; {} cannot be worked on: {problem}", summary.problems),
            "SELECT * FROM pinterest.tracked says which, why, and what helps.".to_owned(),
        ),
        None if summary.failed > 0 => {
            Finding::Note(format!("{text}; SELECT * FROM pinterest.tracked_failures says why"))
        }
        None => Finding::Good(text),
    }
}

fn tracked_image_hosts() -> Finding {
    match settings::tracked_endpoints() {
        Err(failure) => Finding::of(Err(failure)),
        Ok(endpoints) if endpoints.images.is_empty() => Finding::Good(
            "none: no image URL of a tracked column is downloaded before pinterest.tracked_image_hosts names its host"
                .to_owned(),
        ),
        Ok(endpoints) => {
            let hosts: Vec<_> = endpoints.images.iter().map(ToString::to_string).collect();
            let text = hosts.join(", ");
            let names: Vec<_> = endpoints.images.iter().map(pinterest::Host::name).collect();
            let pairs: Vec<_> = endpoints.private_images.iter().map(ToString::to_string).collect();
            match endpoints.private_images.iter().find(|private| !names.contains(&private.name)) {
                Some(private) => Finding::Advice(
                    format!("{text}; pinterest.private_image_hosts names {private} to no effect"),
                    format!("Name {} in pinterest.tracked_image_hosts too, with its port.", private.name),
                ),
                None if pairs.is_empty() => Finding::Good(text),
                None => Finding::Good(format!("{text}; in internal networks {}", pairs.join(", "))),
            }
        }
    }
}

fn launcher() -> Finding {
    running(Worker::Launcher, c"starts with the first call that needs it")
}

fn worker() -> Finding {
    if let Err(paused) = pause::refuse() {
        return Finding::Advice(
            "paused: what is queued waits".to_owned(),
            paused.hint().unwrap_or_default().to_owned(),
        );
    }
    let own = Worker::Database(platform::current_database());
    let all = own.running().into_iter().chain(Worker::Tracking(platform::current_database()).running());
    let stuck = all.filter_map(|found| Some((found.pid, found.silent_for()?)));
    match stuck.max_by(|one, other| one.1.total_cmp(&other.1)).filter(|(_, seconds)| *seconds > SILENCE) {
        Some((pid, seconds)) => Finding::Bad(
            format!("process {pid} has not answered for {seconds:.0} seconds"),
            "pg_stat_activity shows what it waits for. pg_terminate_backend() ends it, and another worker continues."
                .to_owned(),
        ),
        None => running(own, c"none: starts when there is work, ends a while after"),
    }
}

fn worker_slots() -> Finding {
    let (used, all) = registry::background_workers();
    let text = format!("{used} of {all} background worker slots are in use");
    let hint = || "Raise max_worker_processes, which takes a restart.".to_owned();
    match registry::last_refusal().filter(|seconds| *seconds < RECENT) {
        _ if used >= all => Finding::Bad(format!("{text}: no other worker can start"), hint()),
        Some(seconds) => {
            Finding::Advice(format!("{text}; {seconds:.0} seconds ago none was free for a worker"), hint())
        }
        None => Finding::Good(text),
    }
}

/// Those that the caller may see.
fn transactions() -> Finding {
    let old = match databases::old_transactions(OLD) {
        Ok(old) => old,
        Err(failure) => return Finding::of(Err(failure)),
    };
    let Some(oldest) = old.first() else { return Finding::Good(format!("none is older than {OLD:.0} seconds")) };
    let whose = oldest.role.as_deref().unwrap_or("no role");
    let what = match (oldest.pid, &oldest.prepared_as) {
        (Some(pid), _) => format!("process {pid} of {whose}"),
        (None, Some(gid)) => format!("prepared transaction \"{gid}\" of {whose}"),
        (None, None) => whose.to_owned(),
    };
    let others = if old.len() > 1 { format!(", and {} others", old.len() - 1) } else { String::new() };
    Finding::Advice(
        format!("{what} has had one open for {:.0} seconds{others}: dead rows stay meanwhile, which slows workers", oldest.age),
        "End it, or limit such transactions by idle_in_transaction_session_timeout; pg_terminate_backend(), for a prepared \
         one ROLLBACK PREPARED."
            .to_owned(),
    )
}

fn running(worker: Worker, otherwise: &CStr) -> Finding {
    match worker.running().first() {
        Some(instance) => Finding::Good(format!("process {}", instance.pid)),
        None => Finding::Note(otherwise.to_string_lossy().into_owned()),
    }
}
