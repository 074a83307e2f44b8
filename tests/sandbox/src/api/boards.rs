//! Boards and their sections.

use serde_json::{Value, json};

use super::page::Page;
use super::{Context, media};
use crate::server::answer::Refusal;
use crate::world::{Board, EPOCH, Pin, timestamp};

pub(super) fn list(context: &Context<'_>) -> Result<Value, Refusal> {
    let wanted: &[&str] = match context.call.query.get("privacy") {
        None | Some("ALL") => &["PUBLIC", "PROTECTED", "SECRET"],
        Some("PUBLIC") => &["PUBLIC"],
        Some("PROTECTED") => &["PROTECTED"],
        Some("SECRET") => &["SECRET"],
        Some("PUBLIC_AND_SECRET") => &["PUBLIC", "SECRET"],
        Some(_) => return Err(Refusal::invalid_parameter("privacy")),
    };
    let boards: Vec<&Board> =
        context.world.boards().filter(|board| context.lists(board) && wanted.contains(&privacy(board))).collect();
    paged(context, &boards, |board| json_of(context, board))
}

pub(super) fn one(context: &Context<'_>, id: &str) -> Result<Value, Refusal> {
    Ok(json_of(context, context.board(id)?))
}

pub(super) fn sections(context: &Context<'_>, id: &str) -> Result<Value, Refusal> {
    let board = context.board(id)?;
    let sections: Vec<(usize, &String)> = board.spec.sections.iter().enumerate().collect();
    paged(context, &sections, |(number, name)| {
        json!({
            "id": context.world.identities.section_id(board.index, *number),
            "name": name,
        })
    })
}

/// One page of a complete list.
fn paged<T>(context: &Context<'_>, all: &[T], json_of: impl Fn(&T) -> Value) -> Result<Value, Refusal> {
    let start = context.start()?;
    let from = usize::try_from(start.place).unwrap_or(usize::MAX).min(all.len());
    let to = from.saturating_add(start.size as usize).min(all.len());
    let page = Page {
        items: all[from..to].iter().map(json_of).collect(),
        next: (to < all.len()).then_some(to as u64),
        last: None,
    };
    Ok(context.finish(&start, page))
}

fn privacy(board: &Board) -> &'static str {
    match board.spec.privacy {
        crate::config::Privacy::Public => "PUBLIC",
        crate::config::Privacy::Protected => "PROTECTED",
        crate::config::Privacy::Secret => "SECRET",
    }
}

fn json_of(context: &Context<'_>, board: &Board) -> Value {
    let world = context.world;
    let surprises = &context.state.config().surprises;
    let url = |place: u64, size: &str| {
        let pin = Pin::derive(world, board.at(place)?, surprises);
        Some(media::picture_url(context, pin.picture(world, surprises, 0), size))
    };
    let thumbnails: Vec<String> = (0..5).filter_map(|place| url(place, "150x150")).collect();
    json!({
        "id": board.id,
        "name": board.spec.name,
        "description": board.spec.description,
        "privacy": privacy(board),
        "owner": { "username": world.accounts[board.owner] },
        "created_at": timestamp(EPOCH, None),
        "board_pins_modified_at": timestamp(board.modified_at(), None),
        "pin_count": context.call.tweaks.pin_count(board.len()),
        "follower_count": 3,
        "collaborator_count": board.spec.collaborators.len(),
        "is_ads_only": false,
        "media": {
            "image_cover_url": url(0, "400x300"),
            "pin_thumbnail_urls": thumbnails,
        },
    })
}
