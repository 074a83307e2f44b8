use std::borrow::Cow;
use std::fmt;

use instant_clip_tokenizer::Token;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Inner};

/// Most tokens of a text, the start and end marks included.
pub const CONTEXT_LENGTH: usize = 77;

/// Bytes of UTF-8 that are encoded; the rest of a longer text is ignored. The longest entry of the vocabulary has fewer than
/// 54 bytes, so later bytes cannot affect the first 77 tokens.
pub const MAX_TEXT_BYTES: usize = 4_096;

/// Entries of the vocabulary, the two marks included.
pub(crate) const VOCABULARY: usize = 49_408;

/// The mark after a text, the last entry of the vocabulary.
pub(crate) const END_OF_TEXT: u32 = 49_407;

/// The marks in the published vocabulary. In a text they encode to the marks themselves.
const START_LITERAL: &str = "<|startoftext|>";
const END_LITERAL: &str = "<|endoftext|>";

/// CLIP's byte-pair encoding. The vocabulary is part of the program.
///
/// Equal to `CLIPTokenizer` of transformers but for one oddity: a mark spelled in capitals and followed by punctuation.
/// Unlike OpenAI's first implementation, it does not repair broken encodings or resolve HTML entities.
pub struct Tokenizer {
    pieces: instant_clip_tokenizer::Tokenizer,
}

impl Tokenizer {
    /// Builds the merge tables, which takes some tens of milliseconds.
    #[allow(clippy::new_without_default, reason = "it is costly")]
    pub fn new() -> Self {
        Self { pieces: instant_clip_tokenizer::Tokenizer::new() }
    }

    /// The tokens of `text`: start mark, at most 75 pieces, end mark. Not padded: the mask is causal and the features
    /// are taken at the first end mark, so tokens after it have no effect. Takes at most the time of [`MAX_TEXT_BYTES`],
    /// and the time to read the text.
    ///
    /// # Errors
    ///
    /// [`EmptyText`](crate::ErrorKind::EmptyText).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let text = beginning(text);
        if text.trim().is_empty() {
            return Err(Inner::EmptyText.into());
        }
        let mut tokens = vec![self.pieces.start_of_text()];
        self.encode_marked(&text, &mut tokens);
        tokens.truncate(CONTEXT_LENGTH - 1);
        tokens.push(self.pieces.end_of_text());
        Ok(tokens.into_iter().map(|token| token.to_u16().into()).collect())
    }

    /// Encodes the text between literal marks, and each literal as its mark.
    fn encode_marked(&self, text: &str, tokens: &mut Vec<Token>) {
        let mut rest = text;
        while let Some((at, literal, mark)) = self.next_mark(rest) {
            self.pieces.encode(&normalise(&rest[..at]), tokens);
            tokens.push(mark);
            rest = &rest[at + literal.len()..];
        }
        self.pieces.encode(&normalise(rest), tokens);
    }

    fn next_mark(&self, text: &str) -> Option<(usize, &'static str, Token)> {
        [(START_LITERAL, self.pieces.start_of_text()), (END_LITERAL, self.pieces.end_of_text())]
            .into_iter()
            .filter_map(|(literal, mark)| text.find(literal).map(|at| (at, literal, mark)))
            .min_by_key(|&(at, ..)| at)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tokenizer(CLIP)")
    }
}

/// The beginning of a text, cut between two characters. White space separates words and is not a token, so in a long text
/// each run of it counts as one space.
fn beginning(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT_BYTES {
        return Cow::Borrowed(text);
    }
    let mut cut = String::with_capacity(MAX_TEXT_BYTES);
    for word in text.split_whitespace() {
        if !cut.is_empty() {
            cut.push(' ');
        }
        let room = MAX_TEXT_BYTES.saturating_sub(cut.len());
        cut.push_str(&word[..word.floor_char_boundary(room)]);
        if word.len() >= room {
            break;
        }
    }
    Cow::Owned(cut)
}

/// Steps of transformers before the lookup of pieces, which the tokenizer crate omits: canonical composition, and lower case
/// letter by letter (`str::to_lowercase` would turn a word's last sigma into a final one).
fn normalise(text: &str) -> String {
    text.nfc()
        .flat_map(char::to_lowercase)
        .collect::<String>()
        // The crate has marks in another spelling, which the published vocabulary does not contain. Pieces are always cut
        // between `<` and a letter, so the space has no other effect.
        .replace("<start_of_text>", "< start_of_text>")
        .replace("<end_of_text>", "< end_of_text>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn known_text() {
        let tokens = Tokenizer::new().encode("a photo of a cat").unwrap();
        assert_eq!(tokens, [49406, 320, 1125, 539, 320, 2368, 49407]);
    }

    #[test]
    fn a_long_text_is_cut_and_keeps_its_end_mark() {
        let tokens = Tokenizer::new().encode(&"beach ".repeat(200)).unwrap();
        assert_eq!(tokens.len(), CONTEXT_LENGTH);
        assert_eq!(tokens.last(), Some(&49407));
        assert!(tokens[1..76].iter().all(|token| *token == tokens[1]));
    }

    #[test]
    fn marks_of_another_spelling_are_plain_text() {
        let tokens = Tokenizer::new().encode("<start_of_text>x<END_OF_TEXT>").unwrap();
        assert!(tokens[1..tokens.len() - 1].iter().all(|token| *token < 49406), "{tokens:?}");
    }

    #[test]
    fn refusals() {
        let tokenizer = Tokenizer::new();
        for empty in ["", " \t\n", "\u{2003}"] {
            assert_eq!(tokenizer.encode(empty).unwrap_err().kind(), ErrorKind::EmptyText);
        }
        assert_eq!(tokenizer.encode(&" ".repeat(10_000)).unwrap_err().kind(), ErrorKind::EmptyText);
    }

    /// The first 77 tokens of a whole text, however long it is.
    fn uncut(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        let mut tokens = vec![tokenizer.pieces.start_of_text()];
        tokenizer.encode_marked(text, &mut tokens);
        tokens.truncate(CONTEXT_LENGTH - 1);
        tokens.push(tokenizer.pieces.end_of_text());
        tokens.into_iter().map(|token| token.to_u16().into()).collect()
    }

    #[test]
    fn of_a_very_long_text_the_beginning_counts() {
        let tokenizer = Tokenizer::new();
        let words = "a barn with string lights, méllow and größer than 東京 or кафе \u{1f600}\u{1f3fd}! ".repeat(300);
        let blanks = format!("{}a barn{}by the sea", " \n\u{2003}".repeat(3000), "\t".repeat(9000));
        let mut texts = vec![words, blanks, format!("barn <|endoftext|>{}", "x ".repeat(4000))];
        // One long word each, with letters of one to four bytes that the cut may fall into.
        texts.extend(
            ["x", "é", "東", "\u{1f600}", "!", "-", "_", "=", "e\u{301}", "ab\u{600}"].map(|part| part.repeat(9000)),
        );
        for text in &texts {
            let tokens = tokenizer.encode(text).unwrap();
            let cut = beginning(text);
            assert!(cut.len() <= MAX_TEXT_BYTES && cut.len() <= text.len());
            assert_eq!(tokens, uncut(&tokenizer, text), "{}", &text[..text.floor_char_boundary(40)]);
            assert_eq!(tokens, tokenizer.encode(&cut).unwrap());
        }
        // Megabytes take no longer.
        let megabytes = "word ".repeat(1_000_000);
        assert_eq!(tokenizer.encode(&megabytes).unwrap(), tokenizer.encode(&megabytes[..2000]).unwrap());
    }
}
