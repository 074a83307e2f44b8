//! The page of a gallery.

use gallery::{Address, Budget, MOST_ROWS, Page, Picture, Rows, Words, render};

use crate::input::split;

/// A line with the title, then rows as JSON.
pub fn gallery(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (title, json) = text.split_once('\n').unwrap_or(("", text));
    let mut budget = Budget::of(64 * 1024);
    let mut checks = 0_usize;
    match Rows::parse(json, &mut budget, &mut || checks += 1) {
        Ok(rows) => {
            assert!(rows.cards.len() <= MOST_ROWS && checks > rows.cards.len());
            let page = Page { title: Some(title.to_owned()), board: None, rows: Some(rows) };
            let html = render(&page, &mut || {}).expect("a page of a small input fits");
            check_page(&html);
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.chars().count() <= 301, "{shown}");
        }
    }

    if let Some(address) = Address::parse(title) {
        assert!(address.as_str().starts_with("https://"));
        assert_eq!(Address::parse(address.as_str()).as_ref(), Some(&address));
    }
    if let Some(address) = Address::of_pin(title) {
        assert!(address.as_str().starts_with("https://www.pinterest.com/pin/"), "{address:?}");
    }
    let words = |text: &str| Words { section: Some(title.to_owned()), texts: vec![text.to_owned()] };
    let themes: Vec<Vec<Words>> = json.split('\n').map(|theme| theme.split('|').map(words).collect()).collect();
    let labels = gallery::labels(&themes, &mut || {}).expect("enough memory");
    assert_eq!(labels.len(), themes.len());
    for label in labels.into_iter().flatten() {
        assert!(!label.is_empty() && label.chars().count() <= 128, "{label}");
    }
    let ([_], bytes) = split(input);
    if let Some(Picture::Embedded { media_type, .. }) = Picture::embedded(bytes.to_vec()) {
        assert!(["image/jpeg", "image/png", "image/webp", "image/gif"].contains(&media_type));
    }
}

/// Attributes of the page's templates.
const ATTRIBUTES: [&str; 24] = [
    "alt",
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "charset",
    "class",
    "content",
    "decoding",
    "dir",
    "height",
    "href",
    "http-equiv",
    "id",
    "lang",
    "loading",
    "name",
    "preserveAspectRatio",
    "rel",
    "src",
    "tabindex",
    "title",
    "viewBox",
    "width",
    "html",
];

/// Panics unless the page is ASCII and has only the elements and attributes of its templates.
fn check_page(html: &str) {
    assert!(html.is_ascii(), "the page has characters beyond ASCII");
    let lower = html.to_ascii_lowercase();
    for element in ["<script", "<iframe", "<object", "<embed", "<form", "<base", "<link"] {
        assert!(!lower.contains(element), "the page has {element}");
    }
    assert_eq!(lower.matches("<style").count(), 1);
    for tag in html.split('<').skip(1) {
        let tag = &tag[..tag.find('>').expect("a tag does not end")];
        // Every second part is between quotes.
        let mut parts = tag.split('"');
        while let Some(outside) = parts.next() {
            for name in outside.split(' ').skip(1).filter(|name| !name.is_empty()) {
                let name = name.trim_end_matches('=');
                assert!(ATTRIBUTES.contains(&name), "an attribute {name} in <{tag}>");
            }
            let value = parts.next().unwrap_or_default();
            if outside.ends_with(" src=") || outside.ends_with(" href=") {
                let fine = ["https://", "data:image/"].iter().any(|start| value.starts_with(start));
                assert!(fine, "{outside}{value}");
            }
        }
    }
}
