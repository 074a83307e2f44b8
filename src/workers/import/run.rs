//! One import from claim to end.

use std::sync::Arc;
use std::time::Duration;

use pinterest::model::Board;
use pinterest::{BoardReference, Client, ErrorKind, Secret};
use tokio::sync::Notify;

use super::api::{Api, Refused};
use super::dedup::SameBytes;
use super::failure::{Interruption, LOCAL_PAUSE, held};
use super::{images, listing};
use crate::errors::{Failure, Kind};
use crate::names::{ambiguous, shortened};
use crate::rows;
use crate::store;
use crate::store::import::{ClaimState, ClaimedImport, Stop};
use crate::store::reembed;
use crate::workers::database::Context;
use crate::workers::embedding::{self, Gate};
use crate::workers::registry;

/// Between signs of life; three of them fit into a lease.
const HEARTBEAT: Duration = Duration::from_secs(25);
/// How long an import keeps its place while others' wait for one.
const TURN: Duration = Duration::from_secs(5 * 60);
/// Another import of the same board is under way.
const DOUBLED_PAUSE: Duration = Duration::from_secs(2);

/// An import under way.
#[derive(Clone)]
pub struct Run {
    /// Shared with all tasks.
    pub context: Context,
    /// See [`super::Imports`].
    pub embedder_gate: Gate,
    /// See [`super::Imports`].
    pub same_bytes: SameBytes,
    /// The claim.
    pub claimed: ClaimedImport,
    cancelled: Arc<Notify>,
}

impl Run {
    /// A claimed import.
    pub fn new(
        context: Context,
        embedder_gate: Gate,
        same_bytes: SameBytes,
        claimed: ClaimedImport,
        cancelled: Arc<Notify>,
    ) -> Self {
        Run { context, embedder_gate, same_bytes, claimed, cancelled }
    }

    /// Works on the import until it is done or something stops it, and records which.
    pub async fn finish(self) {
        let result = tokio::select! {
            result = self.work() => result,
            interruption = self.watch() => Err(interruption),
        };
        let mut refused = None;
        let (stop, failure, wake_in) = match result {
            Ok(()) | Err(Interruption::Lost) => return,
            Err(Interruption::Cancelled) => (Stop::Cancelled, None, Duration::ZERO),
            Err(Interruption::Yield) => (Stop::Queued, None, Duration::ZERO),
            Err(Interruption::Refused { failure, generation }) => {
                refused = Some(generation);
                (Stop::NeedsReauth, Some(failure), Duration::ZERO)
            }
            Err(Interruption::Stopped { stop, failure, wake_in }) => (stop, Some(failure), wake_in),
        };
        let (claimed, identity) = (self.claimed, self.context.identity.to_string());
        // Where even this fails the leases run out, and all is claimed again.
        let _ = self
            .context
            .database
            .run(move || {
                let (mut stop, mut wake_in) = (stop, wake_in);
                // The user may have connected the account again meanwhile, which has put what was parked back to work.
                if stop == Stop::NeedsReauth && !store::account::needs_its_user(claimed.account_id, refused)? {
                    (stop, wake_in) = (Stop::Queued, LOCAL_PAUSE);
                }
                // Where another run has it by now, what is claimed is that one's.
                let claim = store::import::lock(&claimed)?;
                if claim == ClaimState::Lost {
                    return Ok(());
                }
                let asked_to_end = claim == ClaimState::CancelRequested && stop != Stop::Failed;
                let (stop, failure) = if asked_to_end { (Stop::Cancelled, None) } else { (stop, failure) };
                store::pin_image::release(claimed.account_id, claimed.import_id, Some(&identity))?;
                store::import::stop(&claimed, stop, failure.as_ref(), wake_in)
            })
            .await;
    }

    /// Signs of life, until the claim is lost or its end asked for.
    async fn watch(&self) -> Interruption {
        let begun = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = self.cancelled.notified() => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            let claimed = self.claimed.clone();
            let claim = self.context.database.run(move || store::import::extend_lease(&claimed)).await;
            if let Ok(Err(interruption)) = claim.map(held) {
                return interruption;
            }
            let account_id = self.claimed.account_id;
            if begun.elapsed() >= TURN
                && self.context.database.run(move || store::import::others_wait(account_id)).await.unwrap_or(false)
            {
                return Interruption::Yield;
            }
        }
    }

    async fn work(&self) -> Result<(), Interruption> {
        let claimed = &self.claimed;
        let mut api = Api::open(self.context.clone(), claimed.account_id, claimed.attempts, claimed.age).await?;
        let board_id = self.resolve(&mut api).await?;
        let ready = embedding::connect(&self.context.database, None).await;
        // No image is to blame, and it may heal.
        let ready = ready.map_err(|failure| Interruption::local(failure, claimed.attempts))?;
        let model_id = ready.model_id;
        self.begin_with(model_id, &board_id).await?;
        let found = claimed.listing_complete || claimed.reembed;

        let (claim, board) = (claimed.clone(), board_id.clone());
        let last = self
            .context
            .database
            .run(move || {
                let (keep, skip_ai) = (claim.keep_images, claim.skip_ai);
                let last = store::board::last_import(claim.account_id, &board, Some(model_id), keep, skip_ai)?;
                let unchanged = last.unchanged && !claim.listing_begun && !found && claim.sections.is_none();
                if unchanged {
                    store::import::complete_unchanged(&claim, &board)?;
                }
                Ok((!unchanged).then_some(last))
            })
            .await?;
        let Some(last) = last else { return Ok(()) };

        // Images are worked on while the listing goes on.
        let progress = Notify::new();
        let listed = tokio::sync::watch::Sender::new(found);
        let pictures = images::Images::new(self, api.client.clone(), ready.client, model_id);
        let complete_listing = async {
            if !found {
                let listing = listing::Listing::new(self, &board_id, model_id, last);
                listing.list(&mut api, &progress).await?;
                listed.send_replace(true);
                progress.notify_one();
            }
            Ok::<_, Interruption>(())
        };
        tokio::try_join!(complete_listing, pictures.work(&progress, listed.subscribe()))?;

        let (claim, board) = (claimed.clone(), board_id);
        self.context
            .database
            .run(move || {
                if store::import::lock(&claim)? == ClaimState::Lost {
                    return Ok(());
                }
                store::import::complete(&claim, &board)
            })
            .await?;
        Ok(())
    }

    /// Takes note of the model. Where the import has worked with another one before, or was made to bring the board to this
    /// one, what others have embedded goes back to work.
    async fn begin_with(&self, model_id: i64, board_id: &str) -> Result<(), Interruption> {
        let claimed = &self.claimed;
        if claimed.model_id.is_some_and(|before| before != model_id) {
            self.put_back(model_id, reembed::Scope::Import).await?;
        }
        let claim = claimed.clone();
        self.context.database.run(move || store::import::record_model(&claim, model_id)).await?;
        if claimed.reembed && !claimed.listing_complete {
            self.put_back(model_id, reembed::Scope::Board(board_id.to_owned())).await?;
            let claim = claimed.clone();
            self.context.database.run(move || store::import::record_stored(&claim)).await?;
        }
        Ok(())
    }

    async fn put_back(&self, model_id: i64, of: reembed::Scope) -> Result<(), Interruption> {
        let across = self.context.config.borrow().reuse_across_accounts;
        let mut after = reembed::Cursor::default();
        loop {
            let (claim, of) = (self.claimed.clone(), of.clone());
            let batch = self.context.database.run(move || {
                store::pin_image::take_turns(claim.account_id, across)?;
                let claimed = store::import::lock(&claim)?;
                let place = match claimed {
                    ClaimState::Held => reembed::put_back(&claim, model_id, &of, &after)?,
                    _ => None,
                };
                Ok((claimed, place))
            });
            let (claim, place) = batch.await?;
            held(claim)?;
            match place {
                Some(place) => after = place,
                None => return Ok(()),
            }
        }
    }

    /// The board's id, its row brought up to date where the import is about to list it.
    async fn resolve(&self, api: &mut Api) -> Result<String, Interruption> {
        let row = match &self.claimed.board_id {
            Some(known) if self.claimed.reembed => Err(known.clone()),
            _ => Ok(rows::board_row(&self.look_up(api).await?)),
        };
        let claim = self.claimed.clone();
        let (claim, board_id, doubled) = self
            .context
            .database
            .run(move || {
                let board_id = match &row {
                    Ok(row) => row.board_id.clone(),
                    Err(known) => known.clone(),
                };
                let held = store::import::lock(&claim)?;
                let doubled = store::import::is_doubled(&claim, &board_id, &registry::live_identities())?;
                if held == ClaimState::Held && !doubled {
                    if let Ok(row) = row {
                        store::board::upsert(claim.account_id, std::slice::from_ref(&row))?;
                    }
                    store::import::record_board(&claim, &board_id)?;
                }
                Ok((held, board_id, doubled))
            })
            .await?;
        held(claim)?;
        if doubled {
            // It would take the images over that the other one has counted.
            let failure = Failure::new(Kind::Busy, "another import of the board is under way");
            return Err(Interruption::Stopped { stop: Stop::Queued, failure, wake_in: DOUBLED_PAUSE });
        }
        Ok(board_id)
    }

    /// The board as Pinterest describes it now.
    async fn look_up(&self, api: &mut Api) -> Result<Board, Interruption> {
        let claimed = &self.claimed;
        let ask = |id: String| {
            move |client: Client, token: Secret| {
                let id = id.clone();
                async move { client.board(&token, &id).await }
            }
        };
        if let Some(id) = claimed.board_id.clone() {
            return api.call(ask(id)).await.map_err(|error| self.not_found(api, error));
        }
        let reference =
            claimed.board_reference.parse::<BoardReference>().map_err(|no| Interruption::fail(no.into()))?;
        let Some(id) = reference.id() else {
            return self.look_through(api, &reference).await?.map_err(Interruption::fail);
        };
        match api.call(ask(id.to_owned())).await {
            Ok(board) => Ok(board),
            // No board of this id, or none for this account: digits may be a title too.
            Err(refused) if matches!(refused.kind(), Some(ErrorKind::NotFound | ErrorKind::Forbidden)) => {
                match self.look_through(api, &reference).await? {
                    Err(failure) if failure.kind == Kind::NotFound => Err(self.not_found(api, refused)),
                    found => found.map_err(Interruption::fail),
                }
            }
            Err(refused) => Err(api.interruption(refused)),
        }
    }

    /// The one of the account's boards that the reference means.
    async fn look_through(
        &self,
        api: &mut Api,
        reference: &BoardReference,
    ) -> Result<Result<Board, Failure>, Interruption> {
        let listing::Boards { mut found, of_others } = listing::find_boards(api, reference).await?;
        if found.len() > 1 {
            let ids = found.into_iter().map(|board| {
                let owner = board.owner.and_then(|owner| owner.username).unwrap_or_default();
                let title = shortened(&board.name.unwrap_or_default());
                (board.id, if owner.is_empty() { title } else { format!("{title} of {owner}") })
            });
            let wanted = &self.claimed.board_reference;
            return Ok(Err(ambiguous("boards", wanted, ids.collect(), "Pass the id of the one that is meant")));
        }
        Ok(found.pop().ok_or_else(|| {
            let failure = self.no_such_board();
            match (reference, of_others.as_slice()) {
                (BoardReference::Address(address), []) => failure.with_hint(format!(
                    "Pinterest lists an account's own boards and the group boards that it is on; of user {} it lists \
                     none of this address. SELECT * FROM pinterest_list_boards() lists what there is; secret boards \
                     need their scope.",
                    shortened(&address.username)
                )),
                (BoardReference::Address(address), others) => failure.with_hint(format!(
                    "None of user {} is listed for this account. Boards of this title: {}. Pass the id of the one that \
                     is meant.",
                    shortened(&address.username),
                    others.join(", ")
                )),
                _ => failure,
            }
        }))
    }

    fn not_found(&self, api: &Api, refused: Refused) -> Interruption {
        match refused.kind() {
            Some(ErrorKind::NotFound) => Interruption::fail(self.no_such_board()),
            _ => api.interruption(refused),
        }
    }

    fn no_such_board(&self) -> Failure {
        Failure::new(
            Kind::NotFound,
            format!("Pinterest shows this account no board \"{}\"", self.claimed.board_reference),
        )
        .with_hint("SELECT * FROM pinterest_list_boards() lists the account's boards; secret ones need their scope.")
    }
}
