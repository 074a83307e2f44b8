//! The terms of an image: its words, phrases of two words, and the name of its section.

use std::collections::BTreeMap;

use super::Words;

/// Characters of a word, and of a section's name.
const WORD: std::ops::RangeInclusive<usize> = 3..=24;
const LONGEST_SECTION: usize = 48;
/// Words of one image that are read.
const MOST_WORDS: usize = 200;
/// Bytes of one image's texts that are read.
const MOST_BYTES: usize = 16 << 10;

/// The greatest number of terms of one image: each word alone and after the one before it, and the section.
pub const MOST_TERMS: usize = 2 * MOST_WORDS;
/// The greatest number of bytes of a term: of two words of up to 24 characters, or a section. A character takes at most
/// four bytes, and in lower case half as many again.
pub const TERM_BYTES: usize = 6 * (LONGEST_SECTION + 1);

/// The terms of an image, each once: in lower case, and as they are written.
pub fn terms_of(image: &Words) -> BTreeMap<String, String> {
    let mut terms = BTreeMap::new();
    let section = image.section.as_deref().filter(|section| section.len() <= MOST_BYTES).map(str::trim);
    if let Some(section) = section.filter(|section| (1..=LONGEST_SECTION).contains(&section.chars().count())) {
        let words: Vec<&str> = section.split_whitespace().collect();
        terms.insert(words.join(" ").to_lowercase(), words.join(" "));
    }
    let (mut left, mut bytes) = (MOST_WORDS, MOST_BYTES);
    for text in &image.texts {
        let text = &text[..text.floor_char_boundary(bytes)];
        bytes -= text.len();
        // A phrase does not go beyond a mark, or a word that is left out.
        let mut before: Option<&str> = None;
        for chunk in text.split_whitespace().filter(|chunk| !chunk.contains("://") && !chunk.starts_with("www.")) {
            let mut rest = chunk;
            while let Some(start) = rest.find(char::is_alphanumeric) {
                if start > 0 {
                    before = None;
                }
                let end = rest[start..].find(|sign: char| !is_within(sign)).map_or(rest.len(), |end| start + end);
                let word = rest[start..end].trim_end_matches(['\'', '\u{2019}', '-']);
                rest = &rest[end..];
                let is_word = WORD.contains(&word.chars().count()) && word.chars().any(char::is_alphabetic);
                if !is_word {
                    before = None;
                    continue;
                }
                if left == 0 {
                    return terms;
                }
                left -= 1;
                terms.entry(word.to_lowercase()).or_insert_with(|| word.to_owned());
                if let Some(before) = before {
                    let phrase = format!("{before} {word}");
                    terms.entry(phrase.to_lowercase()).or_insert(phrase);
                }
                before = Some(word).filter(|_| rest.is_empty());
            }
            if !rest.is_empty() {
                before = None;
            }
        }
    }
    terms
}

fn is_within(sign: char) -> bool {
    sign.is_alphanumeric() || matches!(sign, '\'' | '\u{2019}' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_numbers_and_marks_are_no_words() {
        let text = "https://example.com/tent www.tent.example 2026 \u{202e}<b>--- #tent";
        let terms = terms_of(&Words { section: None, texts: vec![text.into()] });
        assert_eq!(terms.into_keys().collect::<Vec<_>>(), ["tent"]);
    }

    #[test]
    fn terms_are_few_and_short() {
        let widest = "\u{130}".repeat(24);
        let many = (0..100_000).map(|number| format!("w{number} ")).collect::<String>();
        let words = Words { section: Some("\u{10400}".repeat(48)), texts: vec![format!("{widest} {widest}"), many] };
        let terms = terms_of(&words);
        assert_eq!(terms.len(), 200 + 197 + 1, "words, each once; phrases; the section");
        assert!(terms.len() <= MOST_TERMS);
        for (key, spelling) in &terms {
            assert!(key.len() <= TERM_BYTES && spelling.len() <= TERM_BYTES, "{key}");
        }
        let section = Some(format!("{}barn", " ".repeat(1 << 20)));
        assert!(terms_of(&Words { section, texts: vec![] }).is_empty());
        let far = format!("{}barn", "1 ".repeat(1 << 20));
        assert!(terms_of(&Words { section: None, texts: vec![far] }).is_empty());
    }
}
