//! The ranking as one self-contained file: nothing on it is loaded from anywhere.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::Result;

use crate::picture;
use crate::ranking::Ranked;

/// What the page shows.
pub struct Contents<'a> {
    pub board: &'a str,
    pub pins: i32,
    /// Some of the board's pictures, encoded.
    pub pictures: &'a [Vec<u8>],
    /// The nearest first.
    pub ranked: &'a [Ranked],
    pub notice: Option<&'a str>,
}

/// Writes the page.
pub fn write(path: &Path, contents: &Contents<'_>) -> Result<()> {
    std::fs::write(path, html(contents)?).with_context(|| format!("cannot write {}", path.display()))
}

fn html(contents: &Contents<'_>) -> Result<String> {
    let board = escaped(contents.board);
    let pins: String =
        contents.pictures.iter().map(|picture| format!("<img src=\"{}\" alt=\"\">\n", data_uri(picture))).collect();
    let notice =
        contents.notice.map(|notice| format!("<p class=\"notice\">{}</p>", escaped(notice))).unwrap_or_default();
    Ok(format!(
        include_str!("page.html"),
        style = include_str!("page.css"),
        board = board,
        pin_count = contents.pins,
        venue_count = contents.ranked.len(),
        pins = pins,
        venues = venues(contents.ranked)?,
        notice = notice,
    ))
}

fn venues(ranked: &[Ranked]) -> Result<String> {
    // Distances of CLIP vectors lie close together, so the bar shows the place between the nearest and the farthest.
    let nearest = ranked.first().map_or(0.0, |venue| venue.distance);
    let farthest = ranked.last().map_or(0.0, |venue| venue.distance);
    let spread = (farthest - nearest).max(f64::EPSILON);
    let mut list = String::new();
    for (place, venue) in ranked.iter().enumerate() {
        let closeness = 100.0 * (1.0 - (venue.distance - nearest) / spread);
        writeln!(
            list,
            "<li><figure><img src=\"{picture}\" alt=\"{name}\"><span class=\"rank\">{rank}</span></figure>\
             <h3>{name}</h3><p><span>{kind}</span><span class=\"distance\">{distance:.4}</span></p>\
             <div class=\"bar\" style=\"--closeness:{closeness:.0}%\"></div></li>",
            picture = data_uri(&picture::thumbnail(&venue.photo)?),
            name = escaped(&venue.name),
            rank = place + 1,
            kind = escaped(&venue.kind),
            distance = venue.distance,
        )?;
    }
    Ok(list)
}

fn data_uri(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg))
}

/// Text as HTML, in an attribute or outside.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let photo = picture::jpeg(&image::RgbImage::new(8, 12)).unwrap();
        let venue =
            |name: &str, distance| Ranked { name: name.into(), kind: "barn".into(), distance, photo: photo.clone() };
        let ranked = [venue("<script>alert(1)</script>", 0.1), venue("\"quoted\" & 'so'", 0.2)];
        let page = html(&Contents {
            board: "a<b",
            pins: 2,
            pictures: std::slice::from_ref(&photo),
            ranked: &ranked,
            notice: None,
        });
        let page = page.unwrap();
        assert!(!page.contains("<script>"), "markup in a name");
        assert!(page.contains("&lt;script&gt;") && page.contains("&quot;quoted&quot; &amp; &#39;so&#39;"));
        assert!(page.contains("a&lt;b"));
        assert!(!page.contains("http"), "the page must carry everything itself");
        assert_eq!(page.matches("data:image/jpeg;base64,").count(), 3);
    }
}
