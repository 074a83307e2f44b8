//! Properties of any input, and comparisons with the simplest computation.

use std::collections::BTreeSet;

use proptest::prelude::*;
use taste::{
    Direction, Pick, Ranking, SupportRule, Taste, Theme, ThemeOptions, Vectors, duplicates, rank, supports, themes,
};

const DIMENSION: usize = 5;

/// Directions of few dimensions, many of them equal.
fn vectors(most: usize) -> impl Strategy<Value = Vectors> {
    let row = prop::collection::vec(-2i8..=2, DIMENSION)
        .prop_filter("a direction", |row| row.iter().any(|&value| value != 0));
    prop::collection::vec(row, 0..most).prop_map(|rows| {
        let mut vectors = Vectors::new(DIMENSION);
        for row in rows {
            let row: Vec<f32> = row.into_iter().map(f32::from).collect();
            vectors.push(&row).expect("not all are 0");
        }
        vectors
    })
}

fn distinct(vectors: &Vectors) -> usize {
    vectors
        .rows()
        .map(|row| row.iter().map(|value| (value * 1e4).round() as i32).collect())
        .collect::<BTreeSet<Vec<i32>>>()
        .len()
}

fn cosine(left: &[f32], right: &[f32]) -> f64 {
    left.iter().zip(right).map(|(&left, &right)| f64::from(left) * f64::from(right)).sum()
}

fn options(count: Option<usize>) -> ThemeOptions {
    ThemeOptions { count, ..ThemeOptions::default() }
}

fn theme(direction: &[f32], weight: f64, cohesion: f64) -> Theme {
    Theme { direction: Direction::normalised(direction).expect("a direction"), weight, cohesion, members: Vec::new() }
}

/// Maximal marginal relevance that computes every marginal relevance for every pick.
fn brute_force(taste: &Taste, candidates: &Vectors, k: usize, ranking: &Ranking) -> Vec<usize> {
    let total: f64 = taste.themes.iter().map(|theme| theme.weight).sum();
    let relevance: Vec<f64> = candidates
        .rows()
        .map(|row| {
            let value = |theme: &Theme| {
                cosine(row, &theme.direction) + ranking.share * (theme.weight / total).ln()
                    - ranking.handicap * theme.cohesion
            };
            taste.themes.iter().map(value).fold(f64::NEG_INFINITY, f64::max)
        })
        .collect();
    let least = relevance.iter().copied().fold(f64::INFINITY, f64::min);
    let most = relevance.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let count = candidates.len() as f64;
    let mean: Vec<f64> =
        (0..DIMENSION).map(|column| candidates.rows().map(|row| f64::from(row[column])).sum::<f64>() / count).collect();
    let similarity = |left: usize, right: usize| {
        let rest = |index: usize| -> Vec<f64> {
            candidates.row(index).iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean).collect()
        };
        let (left, right) = (rest(left), rest(right));
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let product: f64 = left.iter().zip(&right).map(|(left, right)| left * right).sum();
        (product / (norm(&left) * norm(&right))).max(0.0)
    };
    let mut picked: Vec<usize> = Vec::new();
    while picked.len() < k.min(candidates.len()) {
        let marginal = |candidate: usize| {
            let shown = picked.iter().map(|&other| similarity(candidate, other)).fold(0.0, f64::max);
            (1.0 - ranking.diversity) * (relevance[candidate] - least) / (most - least) - ranking.diversity * shown
        };
        let left = (0..candidates.len()).filter(|candidate| !picked.contains(candidate));
        let best = left.fold(None, |best: Option<(usize, f64)>, candidate| match best {
            Some((_, value)) if value >= marginal(candidate) => best,
            _ => Some((candidate, marginal(candidate))),
        });
        picked.push(best.expect("some are left").0);
    }
    picked
}

proptest! {
    #[test]
    fn themes_share_the_images_out(images in vectors(40), count in prop::option::of(1usize..12)) {
        let found = themes(&images, None, &options(count), &mut || {});
        let mut members: Vec<usize> = found.iter().flat_map(|theme| theme.members.clone()).collect();
        members.sort_unstable();
        prop_assert_eq!(members, (0..images.len()).collect::<Vec<_>>());
        prop_assert!(found.len() <= distinct(&images).min(count.unwrap_or(8)));
        prop_assert_eq!(found.is_empty(), images.is_empty());
        prop_assert!(images.is_empty() || (found.iter().map(|theme| theme.weight).sum::<f64>() - 1.0).abs() < 1e-9);
        for (theme, next) in found.iter().zip(found.iter().skip(1)) {
            prop_assert!(theme.weight >= next.weight);
        }
        for theme in &found {
            prop_assert!((cosine(&theme.direction, &theme.direction) - 1.0).abs() < 1e-5);
            let near: Vec<f64> = theme.members.iter().map(|&member| cosine(images.row(member), &theme.direction)).collect();
            prop_assert!(near.windows(2).all(|pair| pair[0] >= pair[1] - 1e-5));
            let mean = near.iter().sum::<f64>() / near.len() as f64;
            prop_assert!((theme.cohesion - mean).abs() < 1e-5);
        }
        prop_assert_eq!(&found, &themes(&images, None, &options(count), &mut || {}), "twice the same");
    }

    #[test]
    fn a_weight_of_two_is_an_image_twice(images in vectors(16), doubled in prop::collection::vec(any::<bool>(), 16)) {
        let mut twice = images.clone();
        let weights: Vec<f64> = (0..images.len()).map(|index| if doubled[index] { 2.0 } else { 1.0 }).collect();
        for index in (0..images.len()).filter(|&index| doubled[index]) {
            twice.push(images.row(index)).expect("a row is a direction");
        }
        let one = ThemeOptions { count: Some(1), ..ThemeOptions::default() };
        let weighted = themes(&images, Some(&weights), &one, &mut || {});
        let repeated = themes(&twice, None, &one, &mut || {});
        for (left, right) in weighted.iter().zip(&repeated) {
            prop_assert!((left.cohesion - right.cohesion).abs() < 1e-4);
        }
    }

    #[test]
    fn images_without_weight_are_in_no_theme(images in vectors(20), kept in prop::collection::vec(any::<bool>(), 20)) {
        let weights: Vec<f64> = (0..images.len()).map(|index| f64::from(u8::from(kept[index]))).collect();
        let found = themes(&images, Some(&weights), &options(None), &mut || {});
        let members: BTreeSet<usize> = found.iter().flat_map(|theme| theme.members.clone()).collect();
        let expected: BTreeSet<usize> = (0..images.len()).filter(|&index| kept[index]).collect();
        prop_assert_eq!(members, expected);
    }

    #[test]
    fn picks_are_those_of_brute_force(
        rows in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, DIMENSION), 2..25),
        liked in prop::collection::vec((prop::collection::vec(0.1f32..1.0, DIMENSION), 0.1f64..1.0, 0.5f64..1.0), 1..4),
        k in 1usize..30,
        diversity in 0.0f64..=1.0,
        share in 0.0f64..0.1,
    ) {
        let mut candidates = Vectors::new(DIMENSION);
        rows.iter().filter(|row| row.iter().any(|value| value.abs() > 1e-3)).for_each(|row| candidates.push(row).unwrap());
        prop_assume!(candidates.len() > 1);
        let themes = liked.iter().map(|(direction, weight, cohesion)| theme(direction, *weight, *cohesion)).collect();
        let taste = Taste { themes, against: Vec::new() };
        let ranking = Ranking { diversity, share, ..Ranking::default() };
        let picks = rank(&taste, &candidates, k, &ranking, &mut || {});
        let picked: Vec<usize> = picks.iter().map(|pick| pick.candidate).collect();
        prop_assert_eq!(picked, brute_force(&taste, &candidates, k, &ranking));
        prop_assert!(picks.windows(2).all(|pair| pair[0].score >= pair[1].score), "{:?}", picks);
        for Pick { candidate, theme, similarity, .. } in picks {
            prop_assert!((cosine(candidates.row(candidate), &taste.themes[theme].direction) - similarity).abs() < 1e-5);
        }
    }

    #[test]
    fn support_does_not_depend_on_the_order_of_the_rows(
        images in vectors(30),
        rows in vectors(40),
        chosen in 0usize..20,
        turn in 0usize..40,
    ) {
        let found = themes(&images, None, &options(None), &mut || {});
        let supported = |rows: &Vectors| {
            supports(&found, rows, &vec![chosen; found.len()], &SupportRule::default(), &mut || {})
        };
        let expected = supported(&rows);
        prop_assert_eq!(expected.len(), found.len());
        // At least one theme is served, and so is every theme with enough rows.
        prop_assert!(found.is_empty() || expected.iter().any(|support| support.served));
        let enough = SupportRule::default().enough;
        prop_assert!(expected.iter().all(|support| support.served || support.rows < enough));
        prop_assert!(expected.iter().all(|support| support.rows <= distinct(&rows)));

        let mut turned = Vectors::new(DIMENSION);
        for place in 0..rows.len() {
            turned.push(rows.row((place + turn) % rows.len())).expect("a row is a direction");
        }
        for (left, right) in expected.iter().zip(supported(&turned)) {
            prop_assert_eq!((left.served, left.rows), (right.served, right.rows));
        }

        // Whichever themes are left out, every candidate can still be picked.
        let mut served = expected.iter();
        let kept = found.iter().filter(|_| served.next().is_some_and(|support| support.served)).cloned().collect();
        let taste = Taste { themes: kept, against: Vec::new() };
        let picks = rank(&taste, &rows, rows.len() + 1, &Ranking::default(), &mut || {});
        prop_assert_eq!(picks.len(), if found.is_empty() { 0 } else { rows.len() });
    }

    #[test]
    fn members_of_a_group_are_near_its_first(images in vectors(40), threshold in 0.0f64..0.5) {
        let groups = duplicates(&images, threshold, &mut || {});
        let mut seen = BTreeSet::new();
        for group in &groups {
            prop_assert!(group.len() > 1 && group.windows(2).all(|pair| pair[0] < pair[1]));
            for &member in group {
                prop_assert!(seen.insert(member), "{member} is in two groups");
                prop_assert!(1.0 - cosine(images.row(group[0]), images.row(member)) <= threshold + 1e-5);
            }
        }
        // All other images are farther away from the first of each group.
        for alone in (0..images.len()).filter(|index| !seen.contains(index)) {
            for group in &groups {
                prop_assert!(1.0 - cosine(images.row(group[0]), images.row(alone)) > threshold - 1e-5);
            }
        }
    }
}
