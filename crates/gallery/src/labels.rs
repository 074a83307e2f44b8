//! Labels of themes, from the words of their pins.
//!
//! A word labels a theme if the theme's pins use it much more often than the pins of the other themes do. This needs no list
//! of words, no language and no model, so it works with any weights: words that a whole board shares, and words such as
//! "the", are as frequent in every theme. The measure is Dunning's log-likelihood ratio (Computational Linguistics 19, 1993).
//!
//! The texts are foreign. The images of a theme, the terms of an image, their bytes and the terms that are counted are
//! limited, so that time and memory are, too.

mod counts;
mod terms;

use std::collections::{BTreeSet, HashMap};

use crate::Error;
use counts::{Term, counted};

/// The words of one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The name of the pin's section: one term, however many words it has.
    pub section: Option<String>,
    /// Title, description and the like.
    pub texts: Vec<String>,
}

/// The greatest number of images of a theme whose words are read. A share of so many is exact to a few hundredths.
const MOST_IMAGES: usize = 1000;
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
/// Terms between two calls of `check`.
const STRIDE: usize = 1024;

/// The images of a theme whose words are read: all of up to 1000, otherwise 1000, evenly spread over their order.
pub fn sample<T>(images: &[T]) -> impl Iterator<Item = &T> {
    let taken = images.len().min(MOST_IMAGES);
    (0..taken).map(move |number| &images[number * images.len() / taken])
}

/// A label for each theme; `None` if no word distinguishes it. Of a large theme only the [`sample`] is read. `check` is
/// called between pieces of work.
///
/// # Errors
///
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
pub fn labels(themes: &[Vec<Words>], check: &mut dyn FnMut()) -> Result<Vec<Option<String>>, Error> {
    let themes: Vec<Vec<&Words>> = themes.iter().map(|images| sample(images).collect()).collect();
    let terms = counted(&themes, check)?;
    let sizes: Vec<usize> = themes.iter().map(Vec::len).collect();
    let mut given = BTreeSet::new();
    let labels = (0..themes.len()).map(|theme| label(theme, &sizes, &terms, check));
    // Two themes of one name would be worse than a number.
    Ok(labels.map(|label| label.filter(|label| given.insert(label.to_lowercase()))).collect())
}

fn label(theme: usize, sizes: &[usize], terms: &HashMap<String, Term>, check: &mut dyn FnMut()) -> Option<String> {
    let (inside, outside) = (sizes[theme], sizes.iter().sum::<usize>() - sizes[theme]);
    let mut found: Vec<(&str, f64)> = Vec::new();
    for (number, (key, term)) in terms.iter().enumerate() {
        if number.is_multiple_of(STRIDE) {
            check();
        }
        let here = term.images_in(theme);
        found.extend(ratio(here, inside, term.images() - here, outside).map(|ratio| (key.as_str(), ratio)));
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let mut chosen: Vec<&str> = Vec::new();
    for &(key, ratio) in &found {
        if chosen.len() == MOST_TERMS {
            break;
        }
        check();
        // The longest phrase that is nearly as typical says more.
        let phrase = found.iter().filter(|(other, of)| contains(other, key) && *of >= PHRASE_SHARE * ratio);
        let key = phrase.map(|(other, _)| *other).max_by_key(|other| other.len()).unwrap_or(key);
        if !chosen.iter().any(|known| contains(known, key) || contains(key, known)) {
            chosen.push(key);
        }
    }
    let spelled = chosen.iter().filter_map(|key| terms.get(*key)).filter_map(Term::spelling).collect::<Vec<_>>();
    (!spelled.is_empty()).then(|| spelled.join(", "))
}

/// Whether the words of `part` follow one another in `whole`.
fn contains(whole: &str, part: &str) -> bool {
    whole.contains(part) && format!(" {whole} ").contains(&format!(" {part} "))
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

#[cfg(test)]
mod tests;
