//! The board that an import refers to.

use std::collections::HashSet;
use std::time::Duration;

use pinterest::model::Board;
use pinterest::{BoardReference, BookmarkGuard, Client, Closest, ErrorKind, Secret};

use super::api::{Api, Refused};
use super::failure::{Interruption, held};
use super::run::Run;
use crate::errors::{Failure, Kind};
use crate::names::{ambiguous, shortened};
use crate::rows;
use crate::store;
use crate::store::import::{ClaimState, Stop};
use crate::workers::registry;

/// Before an import is tried again while another one of the same board runs.
const DOUBLED_PAUSE: Duration = Duration::from_secs(2);

/// Boards of the account's list.
struct Boards {
    /// Those that match best, each once.
    found: Vec<Board>,
    /// The first of the boards that have the title in the address, but another owner, with their owners.
    of_others: Vec<String>,
}

/// The number of boards of other users in a message.
const MOST_OTHERS: usize = 5;

/// Lists the account's boards and compares them with the reference.
async fn find_boards(api: &mut Api, reference: &BoardReference) -> Result<Boards, Interruption> {
    let mut guard = BookmarkGuard::new();
    let mut bookmark: Option<String> = None;
    let mut closest = Closest::default();
    let mut of_others = Vec::new();
    loop {
        let page = api
            .call(|client, token| {
                let bookmark = bookmark.clone();
                async move { client.boards(&token, bookmark.as_deref()).await }
            })
            .await
            .map_err(|error| api.interruption(error))?;
        for board in page.items {
            let title = board.name.as_deref().unwrap_or_default();
            let owner = board.owner.as_ref().and_then(|owner| owner.username.as_deref());
            if of_others.len() < MOST_OTHERS && reference.is_of_another(title, owner) {
                of_others.push(format!("{} of {}", board.id, shortened(owner.unwrap_or_default())));
            }
            let likeness = reference.likeness(&board.id, title, owner);
            closest.offer(board, likeness);
        }
        match page.bookmark {
            Some(next) => {
                guard.admit(&next).map_err(|error| api.interruption(error))?;
                bookmark = Some(next);
            }
            None => break,
        }
    }
    // A board that moves between pages while they are listed appears twice.
    let mut seen = HashSet::new();
    let mut found = closest.into_found();
    found.retain(|board| seen.insert(board.id.clone()));
    Ok(Boards { found, of_others })
}

impl Run {
    /// The board's id. If the import lists the board, its row is updated.
    ///
    /// # Errors
    /// The import fails if no board or more than one matches, and waits if another import of the board runs.
    pub async fn resolve(&self, api: &mut Api) -> Result<String, Interruption> {
        let row = match &self.claimed.board_id {
            Some(known) if self.claimed.reembed => Err(known.clone()),
            _ => Ok(rows::board_row(&self.look_up(api).await?)),
        };
        let resolved = self.transaction(move |claimed| {
            let board_id = row.as_ref().map_or_else(String::clone, |row| row.board_id.clone());
            let claim = store::import::lock(claimed)?;
            let doubled = store::import::is_doubled(claimed, &board_id, &registry::live_identities())?;
            if claim == ClaimState::Held && !doubled {
                if let Ok(row) = row {
                    store::board::upsert(claimed.account_id, std::slice::from_ref(&row))?;
                }
                store::import::record_board(claimed, &board_id)?;
            }
            Ok((claim, board_id, doubled))
        });
        let (claim, board_id, doubled) = resolved.await?;
        held(claim)?;
        if doubled {
            // It would claim images that the other one has counted.
            let failure = Failure::new(Kind::Busy, "another import of the board is under way");
            return Err(Interruption::Stopped { stop: Stop::Queued, failure, wake_in: DOUBLED_PAUSE });
        }
        Ok(board_id)
    }

    /// The board as Pinterest returns it now.
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
            return self.search(api, &reference).await?.map_err(Interruption::fail);
        };
        match api.call(ask(id.to_owned())).await {
            Ok(board) => Ok(board),
            // No board has this id, or the account may not see it. The digits may also be a title.
            Err(refused) if matches!(refused.kind(), Some(ErrorKind::NotFound | ErrorKind::Forbidden)) => {
                match self.search(api, &reference).await? {
                    Err(failure) if failure.kind == Kind::NotFound => Err(self.not_found(api, refused)),
                    found => found.map_err(Interruption::fail),
                }
            }
            Err(refused) => Err(api.interruption(refused)),
        }
    }

    /// The board in the account's list that the reference means.
    async fn search(&self, api: &mut Api, reference: &BoardReference) -> Result<Result<Board, Failure>, Interruption> {
        let Boards { mut found, of_others } = find_boards(api, reference).await?;
        if found.len() > 1 {
            let ids = found.into_iter().map(|board| {
                let owner = board.owner.and_then(|owner| owner.username).unwrap_or_default();
                let title = shortened(&board.name.unwrap_or_default());
                (board.id, if owner.is_empty() { title } else { format!("{title} of {owner}") })
            });
            let wanted = &self.claimed.board_reference;
            return Ok(Err(ambiguous("boards", wanted, ids.collect(), "Pass the id of one of them")));
        }
        Ok(found.pop().ok_or_else(|| {
            let failure = self.no_such_board();
            match (reference, of_others.as_slice()) {
                (BoardReference::Address(address), []) => failure.with_hint(format!(
                    "Pinterest lists the account's own boards and the group boards of which it is a member; none of user {} \
                     has this address. SELECT * FROM pinterest_list_boards() shows the list; secret boards need their \
                     scope.",
                    shortened(&address.username)
                )),
                (BoardReference::Address(address), others) => failure.with_hint(format!(
                    "No board of user {} is listed for this account. Boards with this title: {}. Pass the id of one of \
                     them.",
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
        .with_hint("SELECT * FROM pinterest_list_boards() lists the account's boards; secret boards need their scope.")
    }
}
