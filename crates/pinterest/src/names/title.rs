//! Titles, compared across Unicode forms, case and blanks.

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

use super::closest::Rank;

/// A title, prepared for comparison with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    written: String,
    spelling: String,
    folded: String,
}

impl Title {
    pub(super) fn new(text: &str) -> Self {
        Title { written: text.trim().to_owned(), spelling: spelling(text), folded: folded(text) }
    }

    /// The title as written, without surrounding blanks.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// The closest match of another title with this one.
    pub(super) fn rank(&self, title: &str) -> Option<Rank> {
        if self.written == title || self.written == title.trim() {
            Some(Rank::Title)
        } else if self.folded.is_empty() || self.folded != folded(title) {
            None
        } else if self.spelling == spelling(title) {
            Some(Rank::Spelling)
        } else {
            Some(Rank::Folded)
        }
    }
}

/// The text in Normalization Form C, without invisible characters, and with each run of blanks as one space.
fn spelling(text: &str) -> String {
    visible(&ComposingNormalizerBorrowed::new_nfc().normalize(text))
}

/// A text under compatibility caseless matching (The Unicode Standard, section 3.13, D146), without invisible characters,
/// and with each run of blanks as one space. The folding is full and independent of language: ß becomes ss, and a dotless i
/// is not an i.
pub(super) fn folded(text: &str) -> String {
    let (nfd, nfkd) = (DecomposingNormalizerBorrowed::new_nfd(), DecomposingNormalizerBorrowed::new_nfkd());
    let case = CaseMapper::new();
    let once = nfkd.normalize(&case.fold_string(&nfd.normalize(text))).into_owned();
    let twice = nfkd.normalize(&case.fold_string(&once)).into_owned();
    // Composed again, so that letters with accents count as letters in slugs.
    visible(&ComposingNormalizerBorrowed::new_nfkc().normalize(&visible(&twice)))
}

/// The text without invisible characters (zero-width characters, joiners, variation selectors, soft hyphens), with each
/// run of blanks as one space and none at the ends.
fn visible(text: &str) -> String {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let mut visible = String::with_capacity(text.len());
    let mut blank = false;
    for character in text.chars().filter(|&character| !ignorable.contains(character)) {
        if character.is_whitespace() {
            blank = true;
            continue;
        }
        if blank && !visible.is_empty() {
            visible.push(' ');
        }
        blank = false;
        visible.push(character);
    }
    visible
}

/// The text with the accents of Latin letters removed.
pub(super) fn without_accents(text: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(text).into_owned();
    let mut after_latin = false;
    let keep = |character: &char| {
        let accent = ('\u{300}'..='\u{36F}').contains(character);
        if !accent {
            after_latin = character.is_ascii_alphabetic();
        }
        !(accent && after_latin)
    };
    decomposed.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rank(written: &str, title: &str) -> Option<Rank> {
        Title::new(written).rank(title)
    }

    #[test]
    fn the_same_words_in_other_characters() {
        for (written, title, expected) in [
            ("Barn wedding", "Barn wedding", Rank::Title),
            ("  Barn wedding\n", " Barn wedding ", Rank::Title),
            // Decomposed and composed: é, Ü, a Hangul syllable, an Ångström sign.
            ("Cafe\u{301}", "Caf\u{E9}", Rank::Spelling),
            ("M\u{FC}hle", "Mu\u{308}hle", Rank::Spelling),
            ("\u{1112}\u{1161}\u{11AB}", "\u{D55C}", Rank::Spelling),
            ("\u{212B}ngstr\u{F6}m", "\u{C5}ngstro\u{308}m", Rank::Spelling),
            // Marks of different classes in another order.
            ("a\u{323}\u{307}", "a\u{307}\u{323}", Rank::Spelling),
            ("\u{1FF2}\u{A3C}", "\u{3C9}\u{300}\u{345}\u{A3C}", Rank::Spelling),
            // Blanks: several, no-break, ideographic, line breaks, tab, line separator.
            ("Barn  wedding", "Barn wedding", Rank::Spelling),
            ("Barn wedding", "\u{A0}Barn\u{A0}\u{2009}wedding\u{3000}", Rank::Spelling),
            ("Barn\r\nwedding", "Barn\u{2028}\twedding", Rank::Spelling),
            // Not seen: zero-width space and joiners, byte order mark, soft hyphen, directions, variation selectors.
            ("Barn wedding", "\u{FEFF}Ba\u{200B}rn \u{200E}wed\u{AD}ding\u{200D}", Rank::Spelling),
            ("Love \u{2764}", "Love \u{2764}\u{FE0F}", Rank::Spelling),
            // Case, in full.
            ("STRASSE", "stra\u{DF}e", Rank::Folded),
            ("STRA\u{1E9E}E", "strasse", Rank::Folded),
            ("\u{39F}\u{394}\u{39F}\u{3A3}", "\u{3BF}\u{3B4}\u{3BF}\u{3C2}", Rank::Folded),
            ("\u{A640}", "\u{A641}", Rank::Folded),
            ("\u{13A0}", "\u{AB70}", Rank::Folded),
            ("\u{390}", "\u{3B9}\u{308}\u{301}", Rank::Spelling),
            // A capital I with a dot is an i with a dot above; by no language's rules an i.
            ("\u{130}stanbul", "i\u{307}stanbul", Rank::Folded),
            // Compatible characters: ligatures, full width, superscripts, circled digits.
            ("\u{FB01}nds", "finds", Rank::Folded),
            ("\u{FF22}\u{FF21}\u{FF32}\u{FF2E}", "barn", Rank::Folded),
            ("x\u{B2}", "X2", Rank::Folded),
        ] {
            assert_eq!(rank(written, title), Some(expected), "{written:?} {title:?}");
            assert_eq!(rank(title, written), Some(expected), "{title:?} {written:?}");
        }
    }

    #[test]
    fn other_words() {
        for (written, title) in [
            ("Barn wedding", "Barnwedding"),
            ("Cafe", "Caf\u{E9}"),
            ("\u{131}", "i"),
            ("\u{130}stanbul", "istanbul"),
            ("\u{200B}", ""),
            ("\u{200B}", "\u{FEFF}"),
            ("2026", "2027"),
            // U+30AB and U+30AC differ by a voiced sound mark.
            ("\u{30AB}", "\u{30AC}"),
        ] {
            assert_eq!(rank(written, title), None, "{written:?} {title:?}");
        }
        assert_eq!(rank("\u{200B}", "\u{200B}"), Some(Rank::Title), "its own characters name any title");
    }

    #[test]
    fn accents_of_latin_letters_only() {
        assert_eq!(without_accents("d\u{E9}co fa\u{E7}ade"), "deco facade");
        let others = "\u{43C}\u{43E}\u{438}\u{306}";
        assert_eq!(without_accents(others), others);
    }

    proptest! {
        #[test]
        fn folding_is_stable(text in "\\PC{0,40}") {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once.clone());
            prop_assert_eq!(rank(&text, &text), Some(Rank::Title));
            for form in [
                DecomposingNormalizerBorrowed::new_nfkd().normalize(&text),
                ComposingNormalizerBorrowed::new_nfc().normalize(&text),
            ] {
                prop_assert_eq!(folded(&form), once.clone());
            }
            // Decomposed first: folding makes a letter of U+0345, after which marks are no longer put in order (The Unicode
            // Standard, section 3.13, on D145).
            let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&text);
            prop_assert_eq!(folded(&CaseMapper::new().fold_string(&decomposed)), once);
        }
    }
}
