//! Imports: queueing, waiting, cancelling. Workers do the imports.

use pgrx::datum::Interval;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pinterest::Likeness;

use super::board::{known_whole, matching};
use super::label_embeddings::texts;
use super::wait::{Waiting, require_read_committed};
use super::{Answer, given, not_empty, on_coordinator, seconds, warn, writes_here};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::{as_worker, current_role};
use crate::settings;
use crate::store::import::{self, ImportOptions, Progress};
use crate::store::pin_image::Keep;
use crate::store::{account, extension, installation, refuse_if_read_only, with_latest_snapshot};
use crate::workers::{pause, registry};

/// Bytes of the longest id, title or address of a board.
const LONGEST_REFERENCE: usize = 2048;
/// The least number of seconds between scheduled imports of a board.
const SHORTEST_SYNC: f64 = 300.0;

/// Queues the import of a board, which a worker does after the transaction has committed. Returns the import's id.
#[pg_extern(volatile, parallel_unsafe, name = "pinterest_import_board")]
fn pinterest_import_board_keeping(
    board: Option<&str>,
    account_id: default!(Option<i64>, "NULL"),
    keep_images: default!(Option<&str>, "'none'"),
    sections: default!(Option<Array<'_, &str>>, "NULL"),
    max_images: default!(Option<i32>, "NULL"),
    sync_every: default!(Option<Interval>, "NULL"),
    skip_ai: default!(Option<bool>, "false"),
) -> Answer<i64> {
    refuse_if_read_only("pinterest_import_board()")?;
    let board = given(board, "board")?;
    let keep = kept(given(keep_images, "keep_images")?)?;
    let skip_ai = given(skip_ai, "skip_ai")?;
    let sections = sections.map(|sections| texts(sections, "sections")).transpose()?;
    // NULL is refused like the empty string.
    let sections = sections.map(|sections| sections.into_iter().map(Option::unwrap_or_default).collect());
    let mut options = ImportOptions { keep, sections, max_images, sync_every, skip_ai };
    check_options(&options)?;
    let board = not_empty(board, "board")?.trim();
    if board.len() > LONGEST_REFERENCE {
        return Err(Failure::new(
            Kind::TooLarge,
            format!(
                "board must be an id, a title or an address of at most {LONGEST_REFERENCE} bytes, not {}",
                board.len()
            ),
        )
        .into());
    }
    on_coordinator()?;
    let account_id = account::resolve(&current_role(), account_id)?;
    let matches = matching(board, Some(account_id))?;
    if let Some(section) = matches.reference.section() {
        if options.sections.is_some() {
            return Err(Failure::new(Kind::BadArgument, "the address contains a section, and sections is given too")
                .with_hint("Pass the board's address without the section, and all sections in sections.")
                .into());
        }
        options.sections = Some(vec![section.text().to_owned()]);
        check_options(&options)?;
    }
    check_model_dir()?;
    // If another board may fit better than the known ones, the worker reads Pinterest's list: a board of exactly this
    // title, or of this id, which has precedence over a title of digits.
    let certain = matches.likeness.is_some_and(|likeness| match matches.reference.id() {
        Some(_) => likeness.is_id(),
        None => likeness.is_certain(),
    });
    let known = matches.one()?.filter(|_| certain);
    let import_id = as_worker(|| {
        installation::get_or_create()?.check_not_a_copy()?;
        import::enqueue(account_id, board, known.as_ref().map(|board| board.board_id.as_str()), options)
    })?;
    registry::wake_at_commit()?;
    Ok(import_id)
}

/// The function of version 0.0.1, which sessions may call until ALTER EXTENSION UPDATE, and which pg_upgrade declares. Its
/// tables lack a column, and no worker would run the import.
#[pg_extern(sql = false)]
fn pinterest_import_board(
    _board: Option<&str>,
    _account_id: Option<i64>,
    _keep_images: Option<bool>,
    _sections: Option<Array<'_, &str>>,
    _max_images: Option<i32>,
    _sync_every: Option<Interval>,
    _skip_ai: Option<bool>,
) -> Answer<i64> {
    Err(extension::not_updated().into())
}

/// What is stored of the images.
fn kept(keep_images: &str) -> Result<Keep, Failure> {
    Keep::named(keep_images).ok_or_else(|| {
        let failure = Failure::new(Kind::BadArgument, "keep_images must be none, thumbnails or originals");
        match keep_images {
            "true" | "t" | "on" => failure.with_hint("In version 0.0.1, true had the meaning of originals."),
            "false" | "f" | "off" => failure.with_hint("In version 0.0.1, false had the meaning of none."),
            _ => failure.with_hint("Thumbnails are small JPEGs for pages; originals are the downloaded bytes."),
        }
    })
}

fn check_options(options: &ImportOptions) -> Result<(), Failure> {
    let bad = |what: &str| Err(Failure::new(Kind::BadArgument, what));
    if options.max_images.is_some_and(|images| images <= 0) {
        return bad("max_images must be positive");
    }
    if let Some(sections) = &options.sections
        && (sections.is_empty() || sections.iter().any(|section| section.trim().is_empty()))
    {
        return bad("sections must contain at least one name, and no empty names");
    }
    if options.sync_every.is_some() && (options.sections.is_some() || options.max_images.is_some()) {
        return bad("sync_every cannot be combined with sections or max_images");
    }
    check_sync_interval(options.sync_every.as_ref())
}

/// Shorter intervals would use up the quota.
fn check_sync_interval(every: Option<&Interval>) -> Result<(), Failure> {
    match every.map(seconds) {
        Some(seconds) if seconds < SHORTEST_SYNC => Err(Failure::new(
            Kind::BadArgument,
            format!("the interval between imports must be at least {} minutes", SHORTEST_SYNC / 60.0),
        )),
        _ => Ok(()),
    }
}

/// Schedules a board that was imported before: the worker imports it again after each interval. NULL ends that.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_sync_board(
    board: Option<&str>,
    every: Option<Interval>,
    account_id: default!(Option<i64>, "NULL"),
) -> Answer<()> {
    refuse_if_read_only("pinterest_sync_board()")?;
    let board = given(board, "board")?;
    check_sync_interval(every.as_ref())?;
    let board = known_whole(board, account_id, Likeness::is_title)?;
    as_worker(|| crate::store::board::sync(board.account_id, &board.board_id, every))?;
    registry::wake_at_commit()?;
    Ok(())
}

/// Queues an import that embeds a board's images again which another model than the present one embedded. Returns the
/// import's id.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_reembed_board(board: Option<&str>, account_id: default!(Option<i64>, "NULL")) -> Answer<i64> {
    refuse_if_read_only("pinterest_reembed_board()")?;
    let board = given(board, "board")?;
    let board = known_whole(board, account_id, Likeness::is_title)?;
    check_model_dir()?;
    let import_id = as_worker(|| {
        installation::get_or_create()?.check_not_a_copy()?;
        import::enqueue_reembedding(board.account_id, &board.board_id)
    })?;
    registry::wake_at_commit()?;
    Ok(import_id)
}

/// Queues the failed images of an import again; returns their number.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_retry_failed(import_id: i64) -> Answer<i64> {
    writes_here("pinterest_retry_failed()")?;
    let account_id = import::account_of(import_id)?;
    // Images that a setting caused to be skipped, and may no longer.
    let skipped: &[&str] = match settings::animated_images() {
        embedder::Animations::FirstFrame => &["animated", "too_large"],
        embedder::Animations::Refuse => &["too_large"],
    };
    let failed = as_worker(|| import::retry_failed(account_id, import_id, skipped))?;
    registry::wake_at_commit()?;
    Ok(failed)
}

/// Pauses the account's imports, or lets them continue; false if that changed nothing.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_pause_account(account_id: i64, pause: default!(bool, "true")) -> Answer<bool> {
    writes_here("pinterest_pause_account()")?;
    let account_id = account::resolve(&current_role(), Some(account_id))?;
    let changed = as_worker(|| {
        let changed = account::pause(account_id, pause)?;
        match pause {
            true => import::requeue_running(account_id)?,
            false => import::release_held(account_id)?,
        }
        Ok(changed)
    })?;
    registry::wake_at_commit()?;
    Ok(changed)
}

/// Reports a missing model at once instead of in the import's row.
fn check_model_dir() -> Result<(), Failure> {
    settings::require_embedder()?;
    let directory = settings::model_dir().filter(|_| settings::embedders().is_ok_and(|list| list.include_local()));
    directory
        .and_then(|directory| settings::missing_model_file(&directory))
        .map_or(Ok(()), |missing| Err(Failure::new(Kind::ModelMissing, missing)))
}

/// Waits until an import ends, at most for `timeout`; returns its state.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_wait_for_import(import_id: Option<i64>, timeout: default!(Option<Interval>, "NULL")) -> Answer<String> {
    let import_id = given(import_id, "import_id")?;
    require_read_committed(c"pinterest_wait_for_import()")?;
    Ok(wait(import_id, &Waiting::in_function(timeout.as_ref())?)?.state)
}

/// The same without a snapshot between checks; warns if the import has not completed.
#[pg_extern(
    sql = "CREATE PROCEDURE pinterest_await_import(import_id bigint, timeout interval DEFAULT NULL) LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn pinterest_await_import(
    import_id: Option<i64>,
    timeout: Option<Interval>,
    call: pg_sys::FunctionCallInfo,
) -> Answer<()> {
    let import_id = given(import_id, "import_id")?;
    let waiting = Waiting::in_procedure(timeout.as_ref(), call)?;
    let progress = wait(import_id, &waiting)?;
    waiting.end();
    if !progress.is_over() {
        warn_unless_completed(import_id, &progress);
    }
    Ok(())
}

fn wait(import_id: i64, waiting: &Waiting) -> Result<Progress, Failure> {
    on_coordinator()?;
    loop {
        let progress = with_latest_snapshot(|| import::progress(import_id))?;
        if progress.uncommitted {
            return Err(Failure::new(
                Kind::NotReady,
                format!("import {import_id} was queued by this transaction, which has not committed"),
            )
            .with_hint("Commit the transaction, then wait."));
        }
        if progress.is_over() {
            warn_unless_completed(import_id, &progress);
            return Ok(progress);
        }
        if let Err(paused) = pause::refuse() {
            warn(format!("import {import_id} is {}: {paused}", progress.state), paused.hint());
            return Ok(progress);
        }
        if waiting.is_over() {
            return Ok(progress);
        }
        waiting.pause(registry::ensure_worker)?;
    }
}

fn warn_unless_completed(import_id: i64, progress: &Progress) {
    if progress.state == "completed" {
        return;
    }
    let reason = progress.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    warn(format!("import {import_id} is {}{reason}", progress.state), progress.hint.as_deref());
}

/// Ends an import and keeps the images imported so far. False if it had ended before.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_cancel_import(import_id: i64) -> Answer<bool> {
    writes_here("pinterest_cancel_import()")?;
    let account_id = import::account_of(import_id)?;
    let cancelled = as_worker(|| import::cancel(account_id, import_id))?;
    if cancelled {
        registry::wake_at_commit()?;
    }
    Ok(cancelled)
}
