//! Pins and listings of pins.

use serde_json::{Value, json};

use super::page::Page;
use super::{Context, media};
use crate::faults::answers::not_found;
use crate::server::answer::Refusal;
use crate::world::{Board, Pin, PinKey, Variant, hit, salt};

/// All pins of a board, including those in sections.
pub(super) fn of_board(context: &Context<'_>, board: &str) -> Result<Value, Refusal> {
    let board = context.board(board)?;
    listing(context, board, |_| true)
}

/// The pins of one section.
pub(super) fn of_section(context: &Context<'_>, board: &str, section: &str) -> Result<Value, Refusal> {
    let board = context.board(board)?;
    let number = (0..board.spec.sections.len())
        .find(|number| context.world.identities.section_id(board.index, *number) == section)
        .ok_or_else(|| not_found(context.call.route))?;
    listing(context, board, |pin| context.world.section_of(pin) == Some(number))
}

pub(super) fn one(context: &Context<'_>, id: &str) -> Result<Value, Refusal> {
    let refuse = || not_found(context.call.route);
    let key = context.world.pin(id).ok_or_else(refuse)?;
    let board = context.world.board_of(key).ok_or_else(refuse)?;
    if !context.lists(board) {
        return Err(refuse());
    }
    Ok(json_of(context, board, key))
}

fn listing(context: &Context<'_>, board: &Board, belongs: impl Fn(PinKey) -> bool) -> Result<Value, Refusal> {
    let start = context.start()?;
    // The last pin of the previous page, rather than its index: pins may have been added or removed before it.
    let after =
        start.after.as_deref().and_then(|id| context.world.identities.pin_key(id)).and_then(|pin| board.place_of(pin));
    let first = after.map_or(start.place, |place| place + 1);
    let tiles = context.state.config().surprises.tiles_without_id;
    let wanted = context.call.query.all("creative_types");
    let mut page = Page { items: Vec::new(), next: None, last: None };
    for place in first.. {
        let Some(key) = board.at(place) else { break };
        if !belongs(key) {
            continue;
        }
        if page.items.len() as u64 >= start.size {
            page.next = Some(place);
            break;
        }
        let pin = json_of(context, board, key);
        if !wanted.is_empty() && !wanted.iter().any(|wanted| pin["creative_type"] == **wanted) {
            continue;
        }
        page.last = Some(context.world.identities.pin_id(key));
        page.items.push(pin);
        let room = (page.items.len() as u64) < start.size;
        if room && hit(context.world.seed, salt::TILE, key, tiles) {
            page.items.push(more_ideas());
        }
    }
    Ok(context.finish(&start, page))
}

/// An item of a listing that is not a pin and has no id.
fn more_ideas() -> Value {
    json!({ "type": "more_ideas", "title": "More ideas for this board" })
}

fn json_of(context: &Context<'_>, board: &Board, key: PinKey) -> Value {
    let world = context.world;
    let surprises = &context.state.config().surprises;
    let surprised = |salt, percent| hit(world.seed, salt, key, percent);
    let pin = Pin::derive(world, key, surprises);
    let section = world.section_of(key).map(|number| world.identities.section_id(board.index, number));
    // Any id will do for the pin that it was saved from.
    let parent = pin
        .is_saved_from_elsewhere
        .then(|| world.identities.pin_id(PinKey { board: key.board, serial: 900_000_000 + key.serial % 99_000_000 }));
    let creative_type = if surprised(salt::UNKNOWN_CREATIVE_TYPE, surprises.unknown_creative_type) {
        "HOLOGRAM"
    } else {
        creative_type(pin.variant)
    };
    let metrics = (context.call.query.get("pin_metrics") == Some("true")).then(|| {
        json!({
            "90d": { "pin_click": 7, "impression": 2, "clickthrough": 3 },
            "lifetime_metrics": { "pin_click": 7, "impression": 2, "clickthrough": 3, "reaction": 10, "comment": 2 },
        })
    });
    let mut body = json!({
        "id": world.identities.pin_id(key),
        "created_at": pin.created_at,
        "title": pin.title,
        "description": pin.description,
        "link": pin.link,
        "alt_text": pin.alt_text,
        "dominant_color": pin.dominant_color,
        "board_id": board.id,
        "board_section_id": section,
        "board_owner": { "username": world.accounts[board.owner] },
        "parent_pin_id": parent,
        "creative_type": creative_type,
        "is_owner": board.owner == context.caller.account,
        "is_standard": true,
        "has_been_promoted": false,
        "pin_metrics": metrics,
    });
    if let Some(media) = media::json_of(context, &pin) {
        body["media"] = media;
    }
    if surprised(salt::UNKNOWN_FIELDS, surprises.unknown_fields) {
        body["note"] = json!("");
        body["product_tags"] = json!([]);
        body["is_removable"] = json!(true);
        body["ai_disclosures"] = json!({ "values": [] });
    }
    if surprises.ai_disclosed > 0 {
        let values: &[&str] = match (surprised(salt::AI_DISCLOSED, surprises.ai_disclosed), key.serial % 3) {
            (false, _) => &[],
            (true, 0) => &["AI_MODIFIED", "SYNTHETIC_PERFORMER"],
            (true, _) => &["AI_MODIFIED"],
        };
        body["ai_disclosures"] = json!({ "values": values });
    }
    if surprises.products > 0 {
        let is_product = surprised(salt::PRODUCT, surprises.products);
        body["is_product"] = json!(is_product);
        body["product_tags"] = if is_product { json!([{ "pin_id": parent }]) } else { json!([]) };
    }
    body
}

fn creative_type(variant: Variant) -> &'static str {
    match variant {
        Variant::Image | Variant::Absent => "REGULAR",
        Variant::Video | Variant::MultipleVideos(_) => "VIDEO",
        Variant::MultipleImages(_) => "CAROUSEL",
        Variant::MultipleMixed(_) => "IDEA",
        Variant::UnknownMedia => "COLLAGE",
    }
}
