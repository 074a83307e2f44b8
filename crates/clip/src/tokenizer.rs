use std::fmt;

use instant_clip_tokenizer::Token;
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Inner};

/// Most tokens of a text, the start and end marks included.
pub const CONTEXT_LENGTH: usize = 77;

/// Longest text that is taken, in bytes of UTF-8: many times what 77 tokens can say.
pub const MAX_TEXT_BYTES: usize = 4_096;

/// Entries of the vocabulary, the two marks included.
pub(crate) const VOCABULARY: usize = 49_408;

/// The mark after a text, the last entry of the vocabulary.
pub(crate) const END_OF_TEXT: u32 = 49_407;

/// How the marks are written in the published vocabulary. In a text they stand for the marks themselves.
const START_LITERAL: &str = "<|startoftext|>";
const END_LITERAL: &str = "<|endoftext|>";

/// CLIP's byte-pair encoding. The vocabulary is part of the program.
///
/// Equal to `CLIPTokenizer` of transformers but for one oddity: a mark spelled in capitals and followed by punctuation.
/// Neither repairs broken encodings nor resolves HTML entities, as OpenAI's first implementation did.
pub struct Tokenizer {
    pieces: instant_clip_tokenizer::Tokenizer,
}

impl Tokenizer {
    /// Builds the merge tables; takes some tens of milliseconds, so keep it.
    #[allow(clippy::new_without_default, reason = "costly enough to be asked for by name")]
    pub fn new() -> Self {
        Self { pieces: instant_clip_tokenizer::Tokenizer::new() }
    }

    /// The tokens of `text`: start mark, at most 75 pieces, end mark. Not padded: the mask is causal and the features
    /// are taken at the first end mark, so nothing after it has an effect.
    ///
    /// # Errors
    ///
    /// [`EmptyText`](crate::ErrorKind::EmptyText), [`TextTooLong`](crate::ErrorKind::TextTooLong).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Inner::TextTooLong { found: text.len(), limit: MAX_TEXT_BYTES }.into());
        }
        if text.trim().is_empty() {
            return Err(Inner::EmptyText.into());
        }
        let mut tokens = vec![self.pieces.start_of_text()];
        self.encode_marked(text, &mut tokens);
        tokens.truncate(CONTEXT_LENGTH - 1);
        tokens.push(self.pieces.end_of_text());
        Ok(tokens.into_iter().map(|token| token.to_u16().into()).collect())
    }

    /// Encodes the text between literal marks, and the marks as what they stand for.
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

/// What transformers does before the pieces are looked up and the tokenizer crate leaves out: canonical composition, and
/// lower case letter by letter (`str::to_lowercase` would make a final sigma of a word's last one).
fn normalise(text: &str) -> String {
    text.nfc()
        .flat_map(char::to_lowercase)
        .collect::<String>()
        // The crate has marks of its own spelling, which the published vocabulary does not know. The pieces are cut between
        // `<` and a letter anyway, so the space changes nothing else.
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
        let error = tokenizer.encode(&"x".repeat(10_000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TextTooLong);
        let message = error.to_string();
        assert!(message.contains("10000") && message.contains("4096"), "{message}");
        assert!(tokenizer.encode(&"x".repeat(MAX_TEXT_BYTES)).is_ok());
    }
}
