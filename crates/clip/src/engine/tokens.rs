//! Checks the tokens that a caller passes to an engine.

use crate::error::{Error, Inner};
use crate::tokenizer::{CONTEXT_LENGTH, END_OF_TEXT, VOCABULARY};

/// Returns each text up to its first end mark, including it.
///
/// Dropping the rest is exact: the features are taken at the end mark, and under the causal mask it attends to no token
/// after it.
///
/// # Errors
///
/// [`Inference`](crate::ErrorKind::Inference) if a text has no end mark, more than [`CONTEXT_LENGTH`] tokens before its
/// end, or a token outside of the vocabulary.
pub(super) fn checked(texts: &[Vec<u32>]) -> Result<Vec<&[u32]>, Error> {
    texts.iter().map(|text| checked_text(text)).collect()
}

fn checked_text(tokens: &[u32]) -> Result<&[u32], Error> {
    let refused = |reason: String| -> Error { Inner::Tokens { reason }.into() };
    let Some(end) = tokens.iter().position(|&token| token == END_OF_TEXT) else {
        return Err(refused(format!("none of the {} tokens is the end mark", tokens.len())));
    };
    let tokens = &tokens[..=end];
    if tokens.len() > CONTEXT_LENGTH {
        return Err(refused(format!("text has {} tokens, more than {CONTEXT_LENGTH}", tokens.len())));
    }
    if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= VOCABULARY) {
        return Err(refused(format!("token {unknown} is not in the vocabulary of {VOCABULARY}")));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_text_ends_at_its_first_end_mark() {
        assert_eq!(checked_text(&[49406, 320, 49407, 49407, 0]).unwrap(), [49406, 320, 49407]);
    }

    #[test]
    fn invalid_tokens_are_refused() {
        for tokens in [vec![], vec![49406, 320], [vec![320; 77], vec![END_OF_TEXT]].concat(), vec![49_408, END_OF_TEXT]]
        {
            assert_eq!(checked(&[tokens]).unwrap_err().kind(), ErrorKind::Inference);
        }
    }
}
