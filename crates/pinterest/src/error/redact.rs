//! Removes everything that is, or looks like, a credential from a server's text.

use crate::Secret;

/// Replaces a credential.
const REDACTED: &str = "[redacted]";

/// Characters kept of a server's message: enough for a sentence, too few for a body.
const MAX_MESSAGE: usize = 300;

/// A longer word is not part of a sentence but a value, which may be anything.
const MAX_WORD: usize = 64;

/// Cleans a server's text. Removes the secrets of the request too, because a server may echo them.
#[derive(Default)]
pub(crate) struct Redactor<'a> {
    secrets: Vec<&'a Secret>,
}

impl<'a> Redactor<'a> {
    pub(crate) fn new(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        // Removing a very short "secret" would only make the message unreadable.
        Self { secrets: secrets.into_iter().filter(|secret| secret.expose().len() >= 6).collect() }
    }

    /// The text on one line, shortened, without the secrets and without anything that looks like a Pinterest token
    /// (`pina_…`, `pinr.…`, `pinc_…`).
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose(), REDACTED);
        }
        let mut cleaned = String::new();
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
            if !cleaned.is_empty() {
                cleaned.push(' ');
            }
            match token_start(word) {
                Some(start) => {
                    cleaned.push_str(&word[..start]);
                    cleaned.push_str(REDACTED);
                }
                None if word.len() > MAX_WORD => cleaned.push_str("[long value]"),
                None => cleaned.push_str(word),
            }
            if cleaned.chars().count() > MAX_MESSAGE {
                return cleaned.chars().take(MAX_MESSAGE).chain(['…']).collect();
            }
        }
        cleaned
    }
}

/// Where a Pinterest token starts in a word: the pattern `pin[arc][._]`, in any case.
fn token_start(word: &str) -> Option<usize> {
    word.as_bytes().windows(5).position(|window| {
        window[..3].eq_ignore_ascii_case(b"pin")
            && matches!(window[3].to_ascii_lowercase(), b'a' | b'r' | b'c')
            && matches!(window[4], b'.' | b'_')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_removed_and_sentences_kept() {
        let redactor = Redactor::default();
        assert_eq!(redactor.clean("Authentication failed."), "Authentication failed.");
        assert_eq!(redactor.clean("bad token=pina_AEXAMPLE, sorry"), "bad token=[redacted] sorry");
        assert_eq!(redactor.clean("x pinr.eyJ PINC_abc y"), "x [redacted] [redacted] y");
        assert_eq!(redactor.clean(&format!("a\n{}\tb", "z".repeat(65))), "a [long value] b");
        assert_eq!(redactor.clean("pinterest pinata"), "pinterest pinata");
    }

    #[test]
    fn a_secret_of_the_request_is_removed_in_any_form() {
        let secret = Secret::new("s3cret value");
        assert_eq!(Redactor::new([&secret]).clean("you sent s3cret value?"), "you sent [redacted]?");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cleaned = Redactor::default().clean(&"ä ".repeat(1000));
        assert_eq!(cleaned.chars().count(), MAX_MESSAGE + 1);
    }

    proptest! {
        #[test]
        fn no_token_survives_any_surroundings(before in "\\PC{0,20}", after in "\\PC{0,20}", kind in "[arcARC]", mark in "[._]") {
            let text = format!("{before}pin{kind}{mark}CANARY{after}");
            prop_assert!(!Redactor::default().clean(&text).contains("CANARY"));
        }
    }
}
