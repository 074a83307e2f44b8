//! Titles in addresses. Pinterest documents no rule for them: in observed addresses the title is in lower case, letters of
//! every script are kept, and other characters are hyphens or, like apostrophes, left out.

use super::closest::Rank;
use super::title::{folded, without_accents};

/// A part of an address that stands for a title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug {
    hyphens: [String; 2],
    words: String,
    letters: String,
    bare: String,
}

/// Apostrophes.
const APOSTROPHES: [char; 5] = ['\'', '\u{2018}', '\u{2019}', '\u{2BC}', '`'];

impl Slug {
    /// From a decoded part of an address, or from a title.
    pub(super) fn of(text: &str) -> Self {
        let folded = folded(text);
        let letters: String = folded.chars().filter(|character| character.is_alphanumeric()).collect();
        let without_apostrophes: String = folded.chars().filter(|character| !APOSTROPHES.contains(character)).collect();
        Slug {
            hyphens: [hyphenated(&folded), hyphenated(&without_apostrophes)],
            words: folded.split([' ', '-']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-"),
            bare: without_accents(&letters),
            letters,
        }
    }

    /// The text in lower case, with hyphens.
    pub(super) fn text(&self) -> &str {
        &self.words
    }

    /// The closest match of a title with this part of an address.
    pub(super) fn rank(&self, title: &str) -> Option<Rank> {
        let other = Slug::of(title);
        let same = |ours: &String, theirs: &String| !ours.is_empty() && ours == theirs;
        let [with, without] = &other.hyphens;
        if same(&self.hyphens[0], with) || same(&self.hyphens[1], without) || same(&self.words, &other.words) {
            Some(Rank::Slug)
        } else if same(&self.letters, &other.letters) {
            Some(Rank::Letters)
        } else if same(&self.bare, &other.bare) {
            Some(Rank::BareLetters)
        } else {
            None
        }
    }
}

/// Each run of characters other than letters and digits as one hyphen, with none at the ends.
fn hyphenated(folded: &str) -> String {
    let words = folded.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_match_parts_of_addresses() {
        for (part, title, expected) in [
            ("barn-wedding", "Barn wedding", Some(Rank::Slug)),
            ("barn-wedding", "  Barn -- Wedding!!", Some(Rank::Slug)),
            ("flowers-tables", "Flowers & Tables", Some(Rank::Slug)),
            ("annas-barn", "Anna's barn", Some(Rank::Slug)),
            ("anna-s-barn", "Anna\u{2019}s barn", Some(Rank::Slug)),
            ("caf\u{E9}-br\u{FB}l\u{E9}e", "Cafe\u{301} Bru\u{302}le\u{301}e", Some(Rank::Slug)),
            ("strasse", "Stra\u{DF}e", Some(Rank::Slug)),
            ("\u{7D50}\u{5A5A}\u{5F0F}", "\u{7D50}\u{5A5A}\u{5F0F}", Some(Rank::Slug)),
            ("\u{2764}\u{FE0F}", "\u{2764}", Some(Rank::Slug)),
            ("\u{2764}-\u{1F3D6}", "\u{2764}\u{FE0F} \u{1F3D6}", Some(Rank::Slug)),
            ("usa", "U.S.A.", Some(Rank::Letters)),
            ("deco", "D\u{E9}co", Some(Rank::BareLetters)),
            ("barn", "Barn wedding", None),
            ("barn-wedding-2", "Barn wedding", None),
            ("\u{915}\u{93E}", "\u{915}\u{940}", None),
            ("---", "!!!", None),
            ("-", "", None),
        ] {
            assert_eq!(Slug::of(part).rank(title), expected, "{part:?} {title:?}");
        }
    }
}
