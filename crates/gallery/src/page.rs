//! The page.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use crate::references::to_ascii;
use crate::style::{CSS, policy};
use crate::{Because, Board, Card, Error, LeftOut, Picture, Pin, Rows, Theme, memory};

/// The number of pictures at the head of a theme that are shown large.
const LARGE: usize = 3;

/// The greatest number of bytes per byte of text, as a reference: `<` takes four, a character of two bytes up to seven.
const ESCAPED: usize = 6;
/// The greatest number of bytes of the templates around one picture or card.
const AROUND: usize = 4096;
/// The greatest number of copies in memory at one time: a part and its page, each grown by doubling, or the page and its
/// ASCII.
const COPIES: usize = 4;

/// The contents of a page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The heading; by default the board's name.
    pub title: Option<String>,
    /// Shown first.
    pub board: Option<Board>,
    /// Shown below it.
    pub rows: Option<Rows>,
}

impl Page {
    /// Bytes of the images that the page contains, before their encoding.
    pub fn embedded_bytes(&self) -> usize {
        let bytes = |picture: &Option<Picture>| picture.as_ref().map_or(0, |picture| picture.bytes().len());
        let pins = self.board.iter().flat_map(|board| &board.themes).flat_map(|theme| &theme.shown);
        let cards = self.rows.iter().flat_map(|rows| &rows.cards);
        let of_card = |card: &Card| {
            bytes(&card.picture) + card.because.iter().map(|reason| bytes(&reason.picture)).sum::<usize>()
        };
        pins.map(|pin| bytes(&pin.picture)).sum::<usize>() + cards.map(of_card).sum::<usize>()
    }
}

/// The page as one HTML document of ASCII characters. `check` is called between its parts.
///
/// # Errors
///
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
pub fn render(page: &Page, check: &mut dyn FnMut()) -> Result<String, Error> {
    memory::ask(COPIES * length(page))?;
    let title = match (&page.title, &page.board) {
        (Some(title), _) => title,
        (None, Some(board)) => &board.name,
        (None, None) => "Results",
    };
    let left_out = page.rows.as_ref().map(|rows| rows.left_out).unwrap_or_default();
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="referrer" content="no-referrer";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(CSS)) }
            }
            body {
                main {
                    (masthead(page, title))
                    @if let Some(board) = &page.board { (themes(board, check)) }
                    @if let Some(rows) = &page.rows { (matches(page, rows, check)) }
                }
                (colophon(page, left_out))
            }
        }
    };
    Ok(to_ascii(document.into_string(), check))
}

/// An upper estimate of the page's bytes.
fn length(page: &Page) -> usize {
    let text = |text: &str| ESCAPED * text.len();
    let maybe = |of: &Option<String>| of.as_deref().map_or(0, text);
    let picture = |picture: &Option<Picture>| picture.as_ref().map_or(0, Picture::length);
    let pin = |pin: &Pin| AROUND + 3 * text(&pin.description) + picture(&pin.picture);
    let theme = |theme: &Theme| AROUND + maybe(&theme.label) + theme.shown.iter().map(pin).sum::<usize>();
    let board = |board: &Board| {
        let words = 3 * text(&board.name) + maybe(&board.description) + maybe(&board.owner);
        words + board.themes.iter().map(theme).sum::<usize>()
    };
    let because = |because: &Because| AROUND + 3 * text(&because.description()) + picture(&because.picture);
    let card = |card: &Card| {
        let facts = card.facts.iter().map(|(name, value)| text(name) + text(value)).sum::<usize>();
        let reasons = card.because.iter().map(because).sum::<usize>();
        2 * AROUND + 3 * maybe(&card.title) + maybe(&card.rank) + facts + reasons + picture(&card.picture)
    };
    let cards = |rows: &Rows| rows.cards.iter().map(card).sum::<usize>();
    2 * CSS.len()
        + 4 * AROUND
        + 3 * maybe(&page.title)
        + page.board.as_ref().map_or(0, board)
        + page.rows.as_ref().map_or(0, cards)
}

fn masthead(page: &Page, title: &str) -> Markup {
    html! {
        header.masthead {
            @if let Some(board) = &page.board {
                p.eyebrow {
                    "Pinterest board"
                    @if page.title.is_some() { " " bdi { (board.name) } }
                    @if let Some(owner) = &board.owner { " by " bdi { (owner) } }
                }
            }
            h1 dir="auto" { (title) }
            @if let Some(board) = &page.board {
                @if let Some(description) = &board.description { p.description dir="auto" { (description) } }
                p.counts {
                    (count(board.pins, "pin"))
                    " \u{b7} " (count(board.pictures, "picture"))
                    @if board.themes.len() > 1 { " \u{b7} " (board.themes.len()) " themes" }
                }
            } @else if let Some(rows) = &page.rows {
                p.counts { (count(rows.cards.len() as u64, "row")) }
            }
        }
    }
}

fn themes(board: &Board, check: &mut dyn FnMut()) -> Markup {
    html! {
        @if board.themes.iter().all(|theme| theme.shown.is_empty()) {
            p.note { "No picture of this board has an embedding yet." }
        }
        @for (place, theme) in board.themes.iter().enumerate() {
            @if !theme.shown.is_empty() { (row(board, place, theme, check)) }
        }
    }
}

/// A theme: its heading, and its pictures, all of them visible without scrolling sideways.
fn row(board: &Board, place: usize, theme: &Theme, check: &mut dyn FnMut()) -> Markup {
    let id = format!("theme-{}", place + 1);
    html! {
        section.theme aria-labelledby=(id) {
            div.heading {
                h2 #(id) dir="auto" { (name(board, place, theme)) }
                p {
                    @if let Some(weight) = theme.weight { (percent(weight)) " of the board \u{b7} " }
                    @if theme.pictures > theme.shown.len() as u64 { (theme.shown.len()) " of " }
                    (count(theme.pictures, "picture"))
                }
            }
            @if let Some(weight) = theme.weight { (bar(weight)) }
            ul.strip aria-labelledby=(id) {
                @for (place, pin) in theme.shown.iter().enumerate() {
                    (check_and(check))
                    li.large[place < LARGE] { (pin) }
                }
            }
        }
    }
}

fn name(board: &Board, place: usize, theme: &Theme) -> String {
    match &theme.label {
        Some(label) => label.clone(),
        None if board.themes.len() > 1 => format!("Theme {}", place + 1),
        None => "All pictures".to_owned(),
    }
}

impl Render for Pin {
    fn render(&self) -> Markup {
        let picture = html! {
            @match &self.picture {
                Some(picture) => (image(picture, &self.description)),
                None => span.absent { (self.description) },
            }
        };
        html! {
            @match &self.link {
                Some(link) => a href=(link) rel="noopener noreferrer" title=(self.description) { (picture) },
                None => (picture),
            }
        }
    }
}

fn matches(page: &Page, rows: &Rows, check: &mut dyn FnMut()) -> Markup {
    let pictures = rows.cards.iter().any(|card| card.picture.is_some());
    html! {
        section.matches aria-label="Matches" {
            @if let Some(board) = &page.board {
                div.heading {
                    h2 { "Matches for " bdi { (board.name) } }
                    p { (count(rows.cards.len() as u64, "row")) }
                }
            }
            @if rows.cards.is_empty() { p.note { "The query returned no rows." } }
            ol.cards {
                @for card in &rows.cards {
                    (check_and(check))
                    li { (self::card(card, pictures, page.board.is_some())) }
                }
            }
        }
    }
}

/// One card. If other cards have pictures, one without leaves the place for it empty.
fn card(card: &Card, pictures: bool, below_heading: bool) -> Markup {
    let title = card.title.as_deref().unwrap_or("Untitled");
    let heading = html! {
        @if let Some(rank) = &card.rank { span.rank { (rank) } " " }
        @match &card.link {
            Some(link) => a href=(link) rel="noopener noreferrer" { bdi { (title) } },
            None => bdi { (title) },
        }
    };
    html! {
        article {
            @match &card.picture {
                Some(picture) => div.picture { (image(picture, title)) },
                None if pictures => div.picture {},
                None => {},
            }
            div.words {
                @if below_heading { h3 { (heading) } } @else { h2 { (heading) } }
                @if !card.facts.is_empty() {
                    dl {
                        @for (name, value) in &card.facts {
                            div { dt dir="auto" { (name.replace('_', " ")) } dd dir="auto" { (value) } }
                        }
                    }
                }
                @if !card.because.is_empty() {
                    p.because { "Because of" }
                    ul.because {
                        @for reason in &card.because { li { (reason) } }
                    }
                }
            }
        }
    }
}

impl Render for Because {
    fn render(&self) -> Markup {
        let description = self.description();
        let shown = html! {
            @match &self.picture {
                Some(picture) => (image(picture, &description)),
                None => span.absent { (description) },
            }
            @if let Some(distance) = &self.distance { small { span.spoken { "distance " } (distance) } }
        };
        html! {
            @match &self.link {
                Some(link) => a href=(link) rel="noopener noreferrer" title=(description) { (shown) },
                None => (shown),
            }
        }
    }
}

fn image(picture: &Picture, description: &str) -> Markup {
    html! {
        @match picture {
            Picture::Linked(_) => img src=(picture) alt=(description) loading="lazy" decoding="async";,
            // Not lazy: an image that is in the page is shown at once, also in print and in a screenshot of the whole page.
            Picture::Embedded { .. } => img src=(picture) alt=(description) decoding="sync";,
        }
    }
}

fn colophon(page: &Page, left_out: LeftOut) -> Markup {
    let because = page.rows.iter().flat_map(|rows| &rows.cards).any(|card| !card.because.is_empty());
    html! {
        footer {
            @for sentence in left_out.sentences() { p { (sentence) } }
            @if page.board.is_some() || because {
                p { "Pictures of pins come from Pinterest, and each leads to its pin there." }
            }
        }
    }
}

/// A line as long as the share, which is also written beside it.
fn bar(share: f64) -> Markup {
    html! {
        svg.bar viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" {
            rect width=(format!("{:.1}", 100.0 * share.clamp(0.0, 1.0))) height="1" {}
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share.clamp(0.0, 1.0))
}

/// `1 pin`, `2 pins`.
fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Calls `check` within a template.
fn check_and(check: &mut dyn FnMut()) -> PreEscaped<&'static str> {
    check();
    PreEscaped("")
}

#[cfg(test)]
mod tests;
