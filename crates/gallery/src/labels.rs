//! Labels of themes, from the words of their pins.
//!
//! A word labels a theme if the theme's pins use it much more often than the pins of the other themes do. This needs no list
//! of words, no language and no model, so it works with any weights: words that a whole board shares, and words such as
//! "the", are as frequent in every theme. The measure is Dunning's log-likelihood ratio (Computational Linguistics 19, 1993).

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The words of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The name of the pin's section: one term, however many words it has.
    pub section: Option<String>,
    /// Title, description and the like.
    pub texts: Vec<String>,
}

/// Terms of one label.
const MOST_TERMS: usize = 2;
/// A term occurs with at least so many images of the theme, and this share of them.
const LEAST_IMAGES: usize = 2;
const LEAST_SHARE: f64 = 0.25;
/// It is at least so many times as frequent as elsewhere.
const LEAST_LIFT: f64 = 1.5;
/// The likelihood ratio of a term that is as frequent elsewhere exceeds this value once in twenty times.
const LEAST_RATIO: f64 = 3.84;
/// A phrase stands for its words if it has at least this share of their ratio.
const PHRASE_SHARE: f64 = 0.75;
/// Characters of a word, and of a section's name.
const WORD: std::ops::RangeInclusive<usize> = 3..=24;
const LONGEST_SECTION: usize = 48;
/// Words of one image that are read.
const MOST_WORDS: usize = 200;

/// Where a term occurs, and how it is written.
#[derive(Default)]
struct Term {
    /// The number of images per theme.
    images: BTreeMap<usize, usize>,
    spellings: BTreeMap<String, usize>,
}

/// A label for each theme; `None` if no word distinguishes it. `check` is called between images.
pub fn labels(themes: &[Vec<Words>], check: &mut dyn FnMut()) -> Vec<Option<String>> {
    let mut terms: HashMap<String, Term> = HashMap::new();
    for (theme, images) in themes.iter().enumerate() {
        for image in images {
            check();
            for (key, spelling) in terms_of(image) {
                let term = terms.entry(key).or_default();
                *term.images.entry(theme).or_default() += 1;
                *term.spellings.entry(spelling).or_default() += 1;
            }
        }
    }
    let sizes: Vec<usize> = themes.iter().map(Vec::len).collect();
    let mut given = BTreeSet::new();
    let labels = (0..themes.len()).map(|theme| label(theme, &sizes, &terms));
    // Two themes of one name would be worse than a number.
    labels.map(|label| label.filter(|label| given.insert(label.to_lowercase()))).collect()
}

fn label(theme: usize, sizes: &[usize], terms: &HashMap<String, Term>) -> Option<String> {
    let (inside, outside) = (sizes[theme], sizes.iter().sum::<usize>() - sizes[theme]);
    let mut found: Vec<(&str, f64)> = terms
        .iter()
        .filter_map(|(key, term)| {
            let here = term.images.get(&theme).copied().unwrap_or_default();
            let elsewhere = term.images.values().sum::<usize>() - here;
            Some((key.as_str(), ratio(here, inside, elsewhere, outside)?))
        })
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let mut chosen: Vec<&str> = Vec::new();
    for &(key, ratio) in &found {
        if chosen.len() == MOST_TERMS {
            break;
        }
        // The longest phrase that is nearly as typical says more.
        let phrase = found.iter().filter(|(other, of)| contains(other, key) && *of >= PHRASE_SHARE * ratio);
        let key = phrase.map(|(other, _)| *other).max_by_key(|other| other.len()).unwrap_or(key);
        if !chosen.iter().any(|known| contains(known, key) || contains(key, known)) {
            chosen.push(key);
        }
    }
    let spelled = chosen.iter().filter_map(|key| terms.get(*key)).filter_map(spelling).collect::<Vec<_>>();
    (!spelled.is_empty()).then(|| spelled.join(", "))
}

/// Whether the words of `part` follow one another in `whole`.
fn contains(whole: &str, part: &str) -> bool {
    format!(" {whole} ").contains(&format!(" {part} "))
}

/// The most frequent spelling, and of several the first in the alphabet.
fn spelling(term: &Term) -> Option<&str> {
    let most = term.spellings.values().max()?;
    term.spellings.iter().find(|(_, count)| *count == most).map(|(spelling, _)| spelling.as_str())
}

/// The likelihood ratio of a term with `here` of `inside` images and `elsewhere` of `outside` ones, if it is frequent enough.
fn ratio(here: usize, inside: usize, elsewhere: usize, outside: usize) -> Option<f64> {
    if here < LEAST_IMAGES || outside == 0 {
        return None;
    }
    let [here, inside, elsewhere, outside] = [here, inside, elsewhere, outside].map(|count| count as f64);
    let share = here / inside;
    if share < LEAST_SHARE || share < LEAST_LIFT * elsewhere / outside {
        return None;
    }
    let all = (here + elsewhere) / (inside + outside);
    let part = |count: f64, expected: f64| if count > 0.0 { count * (count / expected).ln() } else { 0.0 };
    let ratio = 2.0
        * (part(here, inside * all)
            + part(inside - here, inside * (1.0 - all))
            + part(elsewhere, outside * all)
            + part(outside - elsewhere, outside * (1.0 - all)));
    (ratio >= LEAST_RATIO).then_some(ratio)
}

/// The terms of an image, each once: in lower case, and as they are written.
fn terms_of(image: &Words) -> BTreeMap<String, String> {
    let mut terms = BTreeMap::new();
    let section = image.section.as_deref().map(str::trim).filter(|section| !section.is_empty());
    if let Some(section) = section.filter(|section| section.chars().count() <= LONGEST_SECTION) {
        let words: Vec<&str> = section.split_whitespace().collect();
        terms.insert(words.join(" ").to_lowercase(), words.join(" "));
    }
    let mut left = MOST_WORDS;
    for text in &image.texts {
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
                if !is_word || left == 0 {
                    before = None;
                    continue;
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

    fn words(texts: &[&str]) -> Vec<Words> {
        texts.iter().map(|text| Words { section: None, texts: vec![(*text).to_owned()] }).collect()
    }

    fn labelled(themes: &[Vec<Words>]) -> Vec<Option<String>> {
        labels(themes, &mut || {})
    }

    fn label_of(label: &str) -> Option<String> {
        Some(label.to_owned())
    }

    #[test]
    fn words_that_distinguish_a_theme_label_it() {
        let barn = words(&["Barn with string lights", "A barn, and string lights", "The barn: String lights!", "barn"]);
        let beach = words(&["The beach at sunset", "Beach with lights", "A beach", "On the beach"]);
        assert_eq!(labelled(&[barn, beach]), [label_of("barn, string lights"), label_of("beach")]);
    }

    #[test]
    fn words_of_the_whole_board_label_nothing() {
        let same = words(&["Wedding ideas", "A wedding with flowers", "The wedding", "Wedding"]);
        assert_eq!(labelled(&[same.clone(), same]), [None, None]);
        assert_eq!(labelled(&[words(&["barn", "barn", "barn"])]), [None], "nothing to compare with");
        assert!(labelled(&[]).is_empty());
        assert_eq!(labelled(&[vec![], vec![Words::default()]]), [None, None]);
    }

    #[test]
    fn a_word_of_one_image_is_no_label() {
        let themes = [words(&["tent", "", "", ""]), words(&["", "", "", ""])];
        assert_eq!(labelled(&themes), [None, None]);
    }

    #[test]
    fn a_section_is_one_term() {
        let of = |section: &str| vec![Words { section: Some(section.to_owned()), texts: vec!["Lovely".into()] }; 4];
        assert_eq!(
            labelled(&[of("Tables & chairs"), of("Flowers")]),
            [label_of("Tables & chairs"), label_of("Flowers")]
        );
    }

    #[test]
    fn other_scripts_and_spellings_are_kept() {
        let themes = [
            words(&["Scheune", "scheune am See", "Scheune", "Scheune"]),
            words(&["砂浜", "海辺の砂浜", "ビーチ", "ビーチ", "ビーチ"]),
        ];
        assert_eq!(labelled(&themes), [label_of("Scheune"), label_of("ビーチ")]);
    }

    #[test]
    fn addresses_numbers_and_marks_are_no_words() {
        let text = "https://example.com/tent www.tent.example 2026 \u{202e}<b>--- #tent";
        let terms = terms_of(&Words { section: None, texts: vec![text.into()] });
        assert_eq!(terms.into_keys().collect::<Vec<_>>(), ["tent"]);
    }

    #[test]
    fn equal_labels_are_given_once() {
        let barn = || words(&["barn", "barn", "barn", "barn"]);
        let labels = labelled(&[barn(), barn(), words(&["beach"; 20])]);
        assert_eq!(labels, [label_of("barn"), None, label_of("beach")]);
    }

    #[test]
    fn any_text_is_read() {
        let long = "x".repeat(1 << 20);
        let many = "word ".repeat(100_000);
        let texts = [&*long, &*many, "'''", "---a---", "e\u{301}te\u{301} e\u{301}te\u{301}", "\0\u{7f}"];
        for label in labelled(&[words(&texts), words(&["other"; 6])]).into_iter().flatten() {
            assert!(label.chars().count() < 120, "{label}");
        }
    }
}
