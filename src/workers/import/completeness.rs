//! What a listing proves: whether it is complete, and whether pins that it does not contain are gone. The rules are in
//! `pinterest::completeness`; this file makes the requests that they need.

use pinterest::ErrorKind;
use pinterest::completeness::{ASKED_FOR, Cause, Completeness, Listed};

use super::api::{Api, Refused};
use super::failure::Interruption;
use super::run::Run;
use crate::rows;
use crate::store;
use crate::store::import::{ClaimedImport, Conclusion};

/// Concludes what the import's listing proves, after its last page, and records it.
///
/// # Errors
/// Interruptions of the requests, or a lost claim.
pub async fn conclude(run: &Run, api: &mut Api, board_id: &str) -> Result<(), Interruption> {
    let of = board_id.to_owned();
    let mut listed = run.transaction(move |claimed| store::import::listed(claimed, &of)).await?;
    if listed.should_recount() {
        listed.reported = count_again(run, api, board_id).await?;
    }
    let conclusion = conclusion(run, api, board_id, &listed).await?;
    let of = board_id.to_owned();
    run.in_turn(move |claimed| store::import::conclude(claimed, &of, &conclusion)).await
}

/// Pinterest's count of the board's pins after the listing.
async fn count_again(run: &Run, api: &mut Api, board_id: &str) -> Result<Option<u32>, Interruption> {
    let board = api.call(|client, token| {
        let board_id = board_id.to_owned();
        async move { client.board(&token, &board_id).await }
    });
    let board = board.await.map_err(|error| api.interruption(error))?;
    let count = rows::board_row(&board).pin_count;
    run.transaction(move |claimed| store::import::record_count(claimed, count)).await?;
    Ok(count.and_then(|count| u32::try_from(count).ok()))
}

async fn conclusion(run: &Run, api: &mut Api, board_id: &str, listed: &Listed) -> Result<Conclusion, Interruption> {
    let Listed { listed: shown, missing, .. } = *listed;
    let counted = listed.reported.map_or_else(|| "no number of".to_owned(), |pins| pins.to_string());
    let incomplete = |reason: String| Conclusion { reason: Some(reason), ..Conclusion::default() };
    Ok(match listed.completeness() {
        Completeness::Whole => Conclusion { whole: true, ..Conclusion::default() },
        Completeness::Incomplete(Cause::Unreadable) => {
            incomplete(format!("{} items of the listing cannot be read", listed.unreadable))
        }
        Completeness::Incomplete(Cause::NotCounted) => {
            incomplete("Pinterest does not report how many pins the board has".into())
        }
        Completeness::Incomplete(Cause::Short) => {
            let short = |missing| {
                incomplete(format!(
                    "Pinterest counts {counted} pins and listed {shown}; {missing} known pins are missing"
                ))
            };
            // Pins that Pinterest reports as gone do not explain the gap, and the gap does not concern them.
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
                None => incomplete("pins that the listing does not contain are still on the board".into()),
            }
        }
    })
}

/// Some of the pins that the listing does not contain.
async fn missing_pins(run: &Run, board_id: &str) -> Result<Vec<String>, Interruption> {
    let of = board_id.to_owned();
    let pins =
        move |claimed: &ClaimedImport| store::pin::missing(claimed.account_id, &of, claimed.import_id, ASKED_FOR);
    Ok(run.transaction(pins).await?)
}

/// If few pins are missing, requests each of them: those that are on other boards now, with the board; the others are gone.
/// `None` if one may still be on the board, or if too many are missing.
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

/// Requests the pins: those that are on other boards now, with the board. `None` if one is on this board, or if Pinterest does
/// not return where it is.
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
