//! HTML pages of boards and query results.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use gallery::{Address, Board, Budget, PAGE_BYTES, Page, Picture, Pin, Rows, Theme, Words};
use pgrx::prelude::*;

use super::board::known;
use super::board_images::{BoardImages, check};
use super::small_images::{self, Shown};
use super::{Answer, given, warn, without_control_characters};
use crate::errors::{Failure, Kind};
use crate::postgres::json_text::Json;
use crate::postgres::memory::room_for;
use crate::store::board_images::{self, ImageKey};
use crate::store::gallery as store;
use crate::store::pin_image::Candidate;

/// The greatest number of pictures that are shown per theme; the page shows the total.
const MOST_PICTURES: usize = 48;
/// Bytes of `rows`: more than all embedded pictures of a page take in hexadecimal.
const MOST_BYTES: usize = 128 << 20;
/// Characters of a name of a board, section or user that are shown.
const LONGEST_NAME: usize = 160;
/// The best of Pinterest's sizes for a page: twice the width of its largest pictures.
const SIZE: &str = "600x";

/// A self-contained HTML page of a board, of a query's rows, or of both.
#[pg_extern(stable, parallel_restricted)]
fn pinterest_gallery(
    board: default!(Option<&str>, "NULL"),
    rows: default!(Option<Json<'_>>, "NULL"),
    title: default!(Option<&str>, "NULL"),
    embed: default!(Option<bool>, "false"),
    account_id: default!(Option<i64>, "NULL"),
) -> Answer<String> {
    let embed = given(embed, "embed")?;
    Ok(page(board, rows, title, embed, account_id)?)
}

fn page(
    board: Option<&str>,
    rows: Option<Json<'_>>,
    title: Option<&str>,
    embed: bool,
    account_id: Option<i64>,
) -> Result<String, Failure> {
    if board.is_none() && rows.is_none() {
        return Err(Failure::new(Kind::BadArgument, "board or rows must be given").with_hint(
            "json_agg() of no rows is NULL: pass COALESCE((SELECT json_agg(r) FROM (…) AS r), '[]') as rows.",
        ));
    }
    let title = title.map(|title| without_control_characters(title, "title").map(str::to_owned)).transpose()?;
    let mut budget = Budget::default();
    let rows = rows.map(|json| cards(&json, &mut budget)).transpose()?;
    let shown = board.map(|board| shown_board(board, account_id)).transpose()?;
    let (board, places) = shown.unzip();
    let mut page = Page { title, board, rows };
    let mut shrinking = Shrinking::default();
    let of_rows = page.rows.iter_mut().flat_map(|rows| &mut rows.cards).flat_map(|card| {
        let small = card.because.iter_mut().map(|reason| (Shown::BelowCard, &mut reason.picture));
        std::iter::once((Shown::OnCard, &mut card.picture)).chain(small)
    });
    shrinking.shrink(of_rows.filter_map(|(shown, picture)| Some((shown, picture.as_mut()?))))?;
    if embed {
        embed_kept(&mut page, places.unwrap_or_default(), &mut shrinking)?;
    }
    gallery::render(&page, &mut check).map_err(unshown)
}

fn cards(json: &Json<'_>, budget: &mut Budget) -> Result<Rows, Failure> {
    let json = json.text(MOST_BYTES, "rows").map_err(|failure| match failure.kind {
        Kind::TooLarge => failure.with_hint("Leave out columns that the page does not show, or LIMIT the query."),
        _ => failure,
    })?;
    Rows::parse(json, budget, &mut check).map_err(unshown)
}

/// The error of a page that cannot be shown.
fn unshown(error: gallery::Error) -> Failure {
    match error.kind() {
        gallery::ErrorKind::OutOfMemory => Failure::new(Kind::OutOfMemory, error.to_string()),
        _ => Failure::new(Kind::BadArgument, error.to_string())
            .with_hint("Pass rows as json_agg() returns them: (SELECT json_agg(r) FROM (SELECT …) AS r)."),
    }
}

/// A board, and the keys of its pictures, in their order.
fn shown_board(reference: &str, account_id: Option<i64>) -> Result<(Board, Vec<ImageKey>), Failure> {
    let collected = BoardImages::of_board(known(reference, account_id)?, false)?;
    let board = &collected.boards[0];
    let section = board.section.as_ref();
    let heading =
        store::heading(board.account_id, &board.board_id, section.map(|section| section.section_id.as_str()))?;
    let groups = groups(&collected);
    let rows: Vec<usize> = groups.iter().flat_map(|group| group.shown()).copied().collect();
    let places: Vec<ImageKey> = rows.iter().map(|row| collected.key(*row)).collect();
    let images = board_images::shown(&places)?;
    let labels = labels(&collected, &groups)?;
    let name = shortened(&board.name);
    let themes = groups.iter().zip(labels).map(|(group, label)| Theme {
        label,
        weight: group.weight,
        pictures: group.rows.len() as u64,
        shown: group
            .shown()
            .iter()
            .map(|row| collected.key(*row))
            .map(|place| pin(&place, images.get(&place), &name))
            .collect(),
    });
    let page = Board {
        name: section.map_or_else(|| name.clone(), |section| format!("{name}: {}", shortened(&section.name))),
        description: heading.description.filter(|description| !description.trim().is_empty()),
        owner: board.owner_username.as_deref().map(shortened),
        pins: u64::try_from(heading.pins).unwrap_or_default(),
        pictures: collected.images.len() as u64,
        themes: themes.collect(),
    };
    Ok((page, places))
}

/// Images that are shown in one strip, by their rows among the collected.
struct Group {
    weight: Option<f64>,
    rows: Vec<usize>,
}

impl Group {
    fn shown(&self) -> &[usize] {
        &self.rows[..self.rows.len().min(MOST_PICTURES)]
    }
}

/// The board's themes, each with the nearest image first. If the embeddings are of different models, one group of all images,
/// the newest first.
fn groups(collected: &BoardImages) -> Vec<Group> {
    if collected.model().is_ok() {
        let themes = collected.themes(None, None).into_iter();
        return themes.map(|theme| Group { weight: Some(theme.weight), rows: theme.members }).collect();
    }
    let mut rows: Vec<usize> = (0..collected.images.len()).collect();
    rows.sort_by_key(|row| Reverse(collected.images[*row].1.pinned_at as i64));
    vec![Group { weight: None, rows }]
}

/// The words that distinguish each group from the others.
fn labels(collected: &BoardImages, groups: &[Group]) -> Result<Vec<Option<String>>, Failure> {
    if groups.len() < 2 {
        return Ok(vec![None; groups.len()]);
    }
    let read: Vec<Vec<ImageKey>> =
        groups.iter().map(|group| gallery::sample(&group.rows).map(|row| collected.key(*row)).collect()).collect();
    let mut texts = store::texts(&read.concat())?;
    let mut words = |place: &ImageKey| {
        let store::Texts { section, texts } = texts.remove(place)?;
        Some(Words { section, texts })
    };
    let themes: Vec<Vec<Words>> =
        read.iter().map(|places| places.iter().map(|place| words(place).unwrap_or_default()).collect()).collect();
    gallery::labels(&themes, &mut check).map_err(unshown)
}

/// The name as it is shown: an image without a text repeats it.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}\u{2026}", &name[..end]),
        None => name.to_owned(),
    }
}

fn pin(place: &ImageKey, image: Option<&board_images::Shown>, board: &str) -> Pin {
    let words = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let description = image.and_then(|image| words(&image.alt_text).or_else(|| words(&image.title)));
    Pin {
        link: Address::of_pin(&place.1),
        description: description.unwrap_or_else(|| format!("A pin on {board}")),
        picture: image.and_then(|image| address(&image.candidates)).and_then(Picture::linked),
    }
}

/// The URL of the size that suits a page, otherwise of the best one.
fn address(candidates: &[Candidate]) -> Option<&str> {
    let suitable = candidates.iter().find(|candidate| candidate.size == SIZE).or(candidates.first());
    suitable.map(|candidate| candidate.url.as_str())
}

/// Scales images down while the embedder is available. Otherwise they stay as they are: the page is larger then.
#[derive(Default)]
struct Shrinking {
    has_failed: bool,
}

impl Shrinking {
    fn shrink<'a>(&mut self, images: impl Iterator<Item = (Shown, &'a mut Picture)>) -> Result<(), Failure> {
        if self.has_failed {
            return Ok(());
        }
        match small_images::shrink(images) {
            Err(failure) if failure.kind == Kind::OutOfMemory => Err(failure),
            Err(failure) => {
                self.has_failed = true;
                warn(format!("images of the page are not scaled down: {}", failure.message), failure.hint());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Bytes of stored images that are read at a time.
const BATCH_BYTES: usize = 16 << 20;

/// An image of the page that may be stored.
struct Wanted<'a> {
    key: ImageKey,
    shown: Shown,
    picture: &'a mut Option<Picture>,
}

/// Replaces addresses by stored images: the board's first, then those of the pins that rows give as reasons. Images of which
/// nothing is stored, or that are beyond the budget, stay linked.
fn embed_kept(page: &mut Page, places: Vec<ImageKey>, shrinking: &mut Shrinking) -> Result<(), Failure> {
    let mut budget = Budget::of(PAGE_BYTES.saturating_sub(page.embedded_bytes()));
    let pins = page.board.iter_mut().flat_map(|board| &mut board.themes).flat_map(|theme| &mut theme.shown);
    let reasons = page.rows.iter_mut().flat_map(|rows| &mut rows.cards).flat_map(|card| &mut card.because);
    let of_board =
        places.into_iter().zip(pins).map(|(key, pin)| Wanted { key, shown: Shown::InTheme, picture: &mut pin.picture });
    let of_reasons = reasons.filter_map(|reason| {
        let key = (reason.account_id?, reason.pin_id.clone()?, reason.position.unwrap_or(0));
        Some(Wanted { key, shown: Shown::BelowCard, picture: &mut reason.picture })
    });
    let mut wanted: Vec<Wanted<'_>> = of_board.chain(of_reasons).collect();
    let sizes = store::kept_sizes(&wanted.iter().map(|wanted| wanted.key.clone()).collect::<Vec<_>>())?;
    wanted.retain(|wanted| sizes.contains_key(&wanted.key));
    let mut rest = &mut wanted[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let whole = rest.iter().take_while(|wanted| {
            bytes += sizes.get(&wanted.key).copied().unwrap_or_default();
            bytes <= BATCH_BYTES
        });
        let (batch, others) = rest.split_at_mut(whole.count().max(1));
        rest = others;
        let stored = store::kept(&batch.iter().map(|wanted| wanted.key.clone()).collect::<Vec<_>>())?;
        // A pin that several rows resemble is in the page several times.
        let mut made: HashMap<(&ImageKey, Shown), Picture> = HashMap::new();
        for Wanted { key, shown, .. } in batch.iter() {
            if let (Some(image), Entry::Vacant(place)) = (stored.get(key), made.entry((key, *shown))) {
                room_for(image.len())?;
                Picture::embedded(image.clone()).map(|picture| place.insert(picture));
            }
        }
        shrinking.shrink(made.iter_mut().map(|((_, shown), picture)| (*shown, picture)))?;
        let mut placed = Vec::with_capacity(batch.len());
        for Wanted { key, shown, .. } in batch.iter() {
            check();
            let picture = made.get(&(key, *shown)).filter(|picture| budget.take(picture.bytes().len()));
            room_for(picture.map_or(0, |picture| picture.bytes().len()))?;
            placed.push(picture.cloned());
        }
        drop(made);
        let any = placed.iter().any(Option::is_some);
        for (wanted, picture) in batch.iter_mut().zip(placed) {
            if picture.is_some() {
                *wanted.picture = picture;
            }
        }
        if !any {
            // The budget is used up.
            break;
        }
    }
    Ok(())
}
