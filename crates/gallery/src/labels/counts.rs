//! Counts of terms in little memory, whatever the texts.
//!
//! A term that labels a theme occurs with a share of its images. So the terms of each theme are counted twice: first with
//! a fixed number of counters, which find all terms of that share and perhaps others (Misra and Gries, Science of
//! Computer Programming 2, 1982), then exactly, but only these. The result is the same as if all terms had been counted.

use std::collections::HashMap;

use super::terms::{MOST_TERMS, TERM_BYTES, terms_of};
use super::{LEAST_IMAGES, LEAST_SHARE, Words};
use crate::{Error, memory};

/// The counters of a theme. A term of the least share cannot be lost: of `n` images with at most [`MOST_TERMS`] terms
/// each, a count is too small by less than `n * MOST_TERMS / MOST_COUNTERS`, which is that share of the images.
pub const MOST_COUNTERS: usize = (MOST_TERMS as f64 / LEAST_SHARE) as usize;
/// Spellings of a term that are counted.
const MOST_SPELLINGS: usize = 8;
/// Bytes of a map's entry, and of an allocation, besides their contents.
const AROUND: usize = 128;

/// Where a term occurs, and how it is written.
#[derive(Default)]
pub struct Term {
    /// Themes in ascending order, each with the number of its images.
    images: Vec<(usize, usize)>,
    /// Each with the number of images.
    spellings: Vec<(String, usize)>,
}

impl Term {
    /// The number of images of a theme.
    pub fn images_in(&self, theme: usize) -> usize {
        self.images.iter().find(|(other, _)| *other == theme).map_or(0, |(_, images)| *images)
    }

    /// The number of images of all themes.
    pub fn images(&self) -> usize {
        self.images.iter().map(|(_, images)| images).sum()
    }

    /// The most frequent spelling, and of several the first in the alphabet.
    pub fn spelling(&self) -> Option<&str> {
        let most = self.spellings.iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)))?;
        Some(&most.0)
    }

    fn add(&mut self, theme: usize, spelling: String) {
        match self.images.last_mut() {
            Some((last, images)) if *last == theme => *images += 1,
            _ => self.images.push((theme, 1)),
        }
        if let Some((_, images)) = self.spellings.iter_mut().find(|(other, _)| *other == spelling) {
            *images += 1;
        } else if self.spellings.len() < MOST_SPELLINGS {
            self.spellings.push((spelling, 1));
        }
    }
}

/// The terms that may label a theme: all that occur with [`LEAST_SHARE`] of the images of one, and perhaps others, up
/// to [`MOST_COUNTERS`] per theme.
///
/// # Errors
///
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
pub fn counted(themes: &[Vec<&Words>], check: &mut dyn FnMut()) -> Result<HashMap<String, Term>, Error> {
    // The counters of one theme, the terms found so far, and those of one image.
    let most = (themes.len() + 2) * MOST_COUNTERS + 2 * MOST_TERMS;
    memory::ask(most.saturating_mul(TERM_BYTES + AROUND))?;
    let mut terms: HashMap<String, Term> = HashMap::new();
    for images in themes {
        terms.extend(frequent(images, check).into_iter().map(|key| (key, Term::default())));
    }
    // Vectors grow by doubling.
    let term = 2 * themes.len() * size_of::<(usize, usize)>() + MOST_SPELLINGS * (TERM_BYTES + 2 * AROUND);
    memory::ask(terms.len().saturating_mul(term))?;
    for (theme, images) in themes.iter().enumerate() {
        for image in images {
            check();
            for (key, spelling) in terms_of(image) {
                if let Some(term) = terms.get_mut(&key) {
                    term.add(theme, spelling);
                }
            }
        }
    }
    Ok(terms)
}

/// The terms that may occur with [`LEAST_SHARE`] of the images.
fn frequent(images: &[&Words], check: &mut dyn FnMut()) -> Vec<String> {
    let mut counters = Counters::default();
    for image in images {
        check();
        terms_of(image).into_keys().for_each(|key| counters.add(key));
    }
    let least = LEAST_IMAGES.max((LEAST_SHARE * images.len() as f64).ceil() as usize);
    counters.at_least(least)
}

/// At most [`MOST_COUNTERS`] counts of terms.
#[derive(Default)]
struct Counters {
    counts: HashMap<String, usize>,
    /// By how much a count may be too small.
    missed: usize,
}

impl Counters {
    fn add(&mut self, key: String) {
        if let Some(count) = self.counts.get_mut(&key) {
            *count += 1;
        } else if self.counts.len() < MOST_COUNTERS {
            self.counts.insert(key, 1);
        } else {
            self.missed += 1;
            self.counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// The terms that may have been added so many times.
    fn at_least(self, least: usize) -> Vec<String> {
        let Self { counts, missed } = self;
        counts.into_iter().filter(|(_, count)| count + missed >= least).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_spellings_are_few() {
        let mut counters = Counters::default();
        for number in 0..20 * MOST_COUNTERS {
            counters.add(format!("word{number}"));
            if number.is_multiple_of(1000) {
                counters.add("barn".to_owned());
            }
            assert!(counters.counts.len() <= MOST_COUNTERS);
        }
        assert!(counters.at_least(32).contains(&"barn".to_owned()));

        let mut term = Term::default();
        for number in 0..100 {
            term.add(number / 50, format!("word{number}"));
        }
        assert_eq!(term.spellings.len(), MOST_SPELLINGS);
        assert_eq!((term.images_in(0), term.images_in(1), term.images_in(2), term.images()), (50, 50, 0, 100));
    }
}
