//! Limits on the input of the embedder, checked before oversized input is read or copied.

use embedder::ErrorKind;
use embedder::protocol::MAX_TEXT_BYTES;

use crate::errors::{Failure, Kind};

/// Of a longer text, only the first bytes are used. CLIP reads 77 tokens, about 50 words.
pub const LONGEST_TEXT: usize = MAX_TEXT_BYTES;

/// Checks the size of an image in bytes, with the same errors as the embedder; `limit` is [`max_image_bytes`](crate::settings::max_image_bytes).
pub fn check_image(bytes: usize, limit: usize) -> Result<(), Failure> {
    match bytes {
        0 => Err(Failure::new(Kind::BadImage, "the image has 0 bytes")),
        _ if bytes <= limit => Ok(()),
        _ => {
            let message = format!("the image has {bytes} bytes, more than the limit of {limit}");
            Err(Failure::from_embedder(ErrorKind::TooLarge, message))
        }
    }
}

/// The beginning of a text, which is embedded, cut between two characters.
///
/// # Errors
/// [`Kind::BadArgument`]: the text has no visible character.
pub fn check_text(text: &str) -> Result<&str, Failure> {
    let text = beginning(text);
    if is_blank(text) {
        return Err(Failure::new(Kind::BadArgument, "the text is empty"));
    }
    Ok(text)
}

/// The first [`LONGEST_TEXT`] bytes of a text, or a few fewer.
pub fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

/// Whether a text has no visible character.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_blank_character)
}

/// White space, control characters, the characters that Unicode lets displays ignore (`Default_Ignorable_Code_Point` in
/// DerivedCoreProperties.txt: soft hyphens, zero-width spaces and joiners, directional marks, fillers, variation selectors,
/// tags, the byte order mark), the marks of interlinear annotations and the empty Braille pattern.
fn is_blank_character(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_without_a_visible_character_are_blank() {
        for blank in [
            "",
            " ",
            "\t\r\n\u{b}\u{c}",
            "\u{85}\u{a0}\u{1680}\u{2000}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}",
            "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
            "\u{ad}",
            "\u{1}\u{7f}\u{9f}",
            "\u{fe0f}\u{e0100}",
            "\u{3164}",
            "\u{2800}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
            assert!(check_text(blank).is_err());
        }
        for seen in ["a", " . ", "\u{200b}x", "\u{301}", "\u{1f468}\u{200d}\u{1f469}", "\u{fffd}", "0"] {
            assert_eq!(check_text(seen).unwrap(), seen, "{seen:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(check_text(&"x".repeat(LONGEST_TEXT + 1)).unwrap().len(), LONGEST_TEXT);
        let text = format!("x{}", "\u{1f600}".repeat(LONGEST_TEXT));
        assert_eq!(check_text(&text).unwrap().len(), LONGEST_TEXT - 3);
        assert!(check_text(&format!("{}x", " ".repeat(LONGEST_TEXT))).is_err(), "the rest is not searched");
    }
}
