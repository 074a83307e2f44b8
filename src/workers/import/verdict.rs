//! What a listing proves: whether it is whole, and whether pins that it missed are gone. The rules are
//! `pinterest::completeness`; here is what they ask for.

use pinterest::ErrorKind;
use pinterest::completeness::{ASKED_FOR, Cause, Completeness, Listed};

use super::api::{Api, Refused};
use super::failure::{Interruption, held};
use super::run::Run;
use crate::rows;
use crate::store;
use crate::store::import::{ClaimState, Conclusion};

/// Finds out what the listing of the run's import proves, all of whose pages are in, and records it.
pub async fn reach(run: &Run, api: &mut Api, board_id: &str) -> Result<(), Interruption> {
    let (claimed, of) = (run.claimed.clone(), board_id.to_owned());
    let mut listed = run.context.database.run(move || store::import::listed(&claimed, &of)).await?;
    if listed.should_recount() {
        listed.reported = count_again(run, api, board_id).await?;
    }
    let conclusion = conclude(run, api, board_id, &listed).await?;
    let (claimed, of) = (run.claimed.clone(), board_id.to_owned());
    let across = run.context.config.borrow().reuse_across_accounts;
    let claim = run.context.database.run(move || {
        store::pin_image::take_turns(claimed.account_id, across)?;
        let claim = store::import::lock(&claimed)?;
        if claim == ClaimState::Held {
            store::import::conclude(&claimed, &of, &conclusion)?;
        }
        Ok(claim)
    });
    held(claim.await?)
}

/// Pinterest's count of the board's pins, now that it is listed.
async fn count_again(run: &Run, api: &mut Api, board_id: &str) -> Result<Option<u32>, Interruption> {
    let board = api.call(|client, token| {
        let board_id = board_id.to_owned();
        async move { client.board(&token, &board_id).await }
    });
    let board = board.await.map_err(|error| api.interruption(error))?;
    let count = rows::board_row(&board).pin_count;
    let claimed = run.claimed.clone();
    run.context.database.run(move || store::import::record_count(&claimed, count)).await?;
    Ok(count.and_then(|count| u32::try_from(count).ok()))
}

async fn conclude(run: &Run, api: &mut Api, board_id: &str, listed: &Listed) -> Result<Conclusion, Interruption> {
    let Listed { listed: shown, missing, .. } = *listed;
    let counted = listed.reported.map_or_else(|| "no number of".to_owned(), |pins| pins.to_string());
    let incomplete = |reason: String| Conclusion { reason: Some(reason), ..Conclusion::default() };
    Ok(match listed.completeness() {
        Completeness::Whole => Conclusion { whole: true, ..Conclusion::default() },
        Completeness::Incomplete(Cause::Unreadable) => {
            incomplete(format!("{} items of the listing cannot be read", listed.unreadable))
        }
        Completeness::Incomplete(Cause::NotCounted) => {
            incomplete("Pinterest does not say how many pins the board has".into())
        }
        Completeness::Incomplete(Cause::Short) => {
            let short = |missing| {
                incomplete(format!(
                    "Pinterest counts {counted} pins and listed {shown}; {missing} known pins are missing"
                ))
            };
            // Pins that Pinterest itself says are gone say nothing about the gap, and the gap nothing about them.
            match gone(run, api, board_id, listed).await? {
                Some(moved) => match listed.without_missing() {
                    rest if rest.completeness() == Completeness::Whole => {
                        Conclusion { whole: true, remove_missing: true, moved, ..Conclusion::default() }
                    }
                    rest => Conclusion { gap: rest.gap(), remove_missing: true, moved, ..short(0) },
                },
                None => Conclusion { gap: listed.gap(), ..short(missing) },
            }
        }
        Completeness::Unconfirmed => Conclusion {
            remember_missing: true,
            ..incomplete(format!(
                "{missing} of {} known pins are missing: another import has to confirm that they are gone",
                listed.known
            ))
        },
        Completeness::WholeWithoutMissing => {
            let asked_for = missing_pins(run, board_id).await?;
            match whereabouts(api, board_id, asked_for).await? {
                Some(moved) => Conclusion { whole: true, remove_missing: true, moved, ..Conclusion::default() },
                None => incomplete("pins that the listing does not show are on the board all the same".into()),
            }
        }
    })
}

/// Some of the pins that the listing missed.
async fn missing_pins(run: &Run, board_id: &str) -> Result<Vec<String>, Interruption> {
    let (claimed, of) = (run.claimed.clone(), board_id.to_owned());
    let pins =
        run.context.database.run(move || store::pin::missing(claimed.account_id, &of, claimed.import_id, ASKED_FOR));
    Ok(pins.await?)
}

/// Asks for every pin that a short listing missed, where these are few: the ones that are on other boards now, and with
/// which, the others being gone; `None` where not all are proved to be off the board.
async fn gone(
    run: &Run,
    api: &mut Api,
    board_id: &str,
    listed: &Listed,
) -> Result<Option<Vec<(String, String)>>, Interruption> {
    if !(1..=ASKED_FOR).contains(&(listed.missing as usize)) {
        return Ok(None);
    }
    let pins = missing_pins(run, board_id).await?;
    whereabouts(api, board_id, pins).await
}

/// Asks for the pins themselves: those that are on other boards now, and with which; `None` where one is on this board, or
/// Pinterest does not say where it is.
async fn whereabouts(
    api: &mut Api,
    board_id: &str,
    pins: Vec<String>,
) -> Result<Option<Vec<(String, String)>>, Interruption> {
    let mut moved = Vec::new();
    for pin_id in pins {
        let pin = api
            .call(|client, token| {
                let pin_id = pin_id.clone();
                async move { client.pin(&token, &pin_id).await }
            })
            .await;
        match pin.map(|pin| pin.board_id) {
            Ok(Some(board)) if board != board_id => moved.push((pin_id, board)),
            Ok(_) => return Ok(None),
            Err(Refused::Call(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {}
            Err(Refused::Call(error))
                if matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Restricted | ErrorKind::NotPermitted) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(api.interruption(error)),
        }
    }
    Ok(Some(moved))
}
