//! Small exact cases, and the limits of every range.

use taste::{
    Direction, Support, SupportRule, Taste, Theme, ThemeOptions, Vectors, contrast_prompts, duplicates, gate, likeness,
    nearest, recommend, supports, themes,
};

fn vectors(rows: &[[f32; 3]]) -> Vectors {
    let mut vectors = Vectors::new(3);
    rows.iter().for_each(|row| vectors.push(row).expect("a direction"));
    vectors
}

fn found(images: &Vectors, count: Option<usize>) -> Vec<Theme> {
    themes(images, None, &ThemeOptions { count, ..ThemeOptions::default() }, &mut || {})
}

const X: [f32; 3] = [1.0, 0.0, 0.0];
const Y: [f32; 3] = [0.0, 1.0, 0.0];
const Z: [f32; 3] = [0.0, 0.0, 1.0];

#[test]
fn one_image_is_one_theme_and_no_image_is_none() {
    assert!(found(&Vectors::new(3), None).is_empty());
    assert!(found(&Vectors::new(3), Some(3)).is_empty());
    let alone = found(&vectors(&[Y]), None);
    assert_eq!(alone.len(), 1);
    assert_eq!((&alone[0].direction[..], alone[0].weight, alone[0].cohesion), (&Y[..], 1.0, 1.0));
}

#[test]
fn equal_images_are_one_theme_whatever_the_count() {
    let images = vectors(&[[1.0, 2.0, 3.0]; 20]);
    for count in [None, Some(1), Some(5)] {
        let themes = found(&images, count);
        assert_eq!(themes.len(), 1);
        assert_eq!(themes[0].members, (0..20).collect::<Vec<_>>());
    }
    assert_eq!(found(&vectors(&[X, X, Y, Y, X]), Some(4)).len(), 2, "two different images, two themes");
}

#[test]
fn images_that_cancel_out_have_the_direction_of_the_first() {
    let themes = found(&vectors(&[X, [-1.0, 0.0, 0.0]]), Some(1));
    assert_eq!(themes[0].direction[..], X);
    assert_eq!(themes[0].cohesion, 0.0);
}

#[test]
fn two_clear_tastes_are_two_themes_heaviest_first() {
    let themes = found(&vectors(&[Y, X, [0.99, 0.1, 0.0], [0.98, 0.0, 0.1], [0.1, 0.99, 0.0]]), None);
    let members: Vec<_> = themes.iter().map(|theme| theme.members.len()).collect();
    assert_eq!(members, [3, 2]);
    assert!((themes[0].weight - 0.6).abs() < 1e-12);
    assert!(themes[0].members.contains(&1) && themes[1].members.contains(&0));
}

#[test]
fn weights_decide_which_theme_is_first() {
    let images = vectors(&[X, X, Y]);
    let options = ThemeOptions { count: Some(2), ..ThemeOptions::default() };
    let themes_of = |weights: &[f64]| themes(&images, Some(weights), &options, &mut || {});
    assert_eq!(themes_of(&[1.0, 1.0, 5.0])[0].members, [2]);
    assert!(themes_of(&[0.0; 3]).is_empty());
    let tiny = themes_of(&[1e-200, 1e-200, 1.0]);
    assert_eq!(tiny[0].members, [2]);
}

#[test]
fn themes_are_fitted_on_a_sample_and_contain_all_images() {
    let rows: Vec<[f32; 3]> = (0..3000)
        .map(|index| {
            let mut row = [X, Y, Z][index % 3];
            row[(index + 1) % 3] = (index % 17) as f32 / 100.0;
            row
        })
        .collect();
    let mut checks = 0;
    let themes =
        themes(&vectors(&rows), None, &ThemeOptions { sample: 50, ..ThemeOptions::default() }, &mut || checks += 1);
    assert_eq!(themes.len(), 3);
    assert!(themes.iter().all(|theme| theme.members.len() == 1000));
    assert!(themes.iter().all(|theme| theme.members.iter().all(|member| member % 3 == theme.members[0] % 3)));
    assert!(checks > 50, "{checks} checks");
}

#[test]
fn diversity_takes_the_other_theme_before_the_twin() {
    let taste = Taste { themes: found(&vectors(&[X, Y]), Some(2)), against: Vec::new() };
    let candidates = vectors(&[[1.0, 0.05, 0.0], [1.0, 0.06, 0.0], [0.1, 1.0, 0.0], Z]);
    let order = |diversity| -> Vec<usize> {
        recommend(&taste, &candidates, 3, diversity, &mut || {}).iter().map(|pick| pick.candidate).collect()
    };
    assert_eq!(order(0.0), [0, 1, 2]);
    assert_eq!(order(0.3)[..2], [0, 2]);
    assert_eq!(recommend(&taste, &candidates, 99, 0.3, &mut || {}).len(), 4, "all, if k is greater");
    assert!(recommend(&taste, &candidates, 0, 0.3, &mut || {}).is_empty());
    assert!(recommend(&taste, &Vectors::new(3), 3, 0.3, &mut || {}).is_empty());
    assert!(recommend(&Taste::default(), &candidates, 3, 0.3, &mut || {}).is_empty());
}

#[test]
fn equal_candidates_come_in_their_order() {
    let taste = Taste { themes: found(&vectors(&[X]), None), against: Vec::new() };
    let picks = recommend(&taste, &vectors(&[Y; 5]), 3, 0.3, &mut || {});
    assert_eq!(picks.iter().map(|pick| pick.candidate).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn disliked_candidates_rank_last_by_the_same_relevance() {
    let themes = found(&vectors(&[X, Y]), Some(2));
    let taste = Taste { themes, against: found(&vectors(&[X]), None) };
    let candidates = vectors(&[X, [0.3, 0.9, 0.1], [0.2, 0.9, 0.4]]);
    let picks = recommend(&taste, &candidates, 3, 0.0, &mut || {});
    let order: Vec<usize> = picks.iter().map(|pick| pick.candidate).collect();
    assert_eq!(order[2], 0);
    let relevance = |&candidate: &usize| taste.relevance(&Direction::normalised(candidates.row(candidate)).unwrap());
    assert!(order.is_sorted_by(|left, right| relevance(left) >= relevance(right)));
}

#[test]
#[should_panic(expected = "not within 0 and 1")]
fn diversity_beyond_its_range_is_refused() {
    recommend(&Taste::default(), &Vectors::new(3), 1, f64::NAN, &mut || {});
}

#[test]
#[should_panic(expected = "3 and of 2")]
fn different_dimensions_cannot_be_compared() {
    nearest(&vectors(&[X]), &Direction::normalised(&[1.0, 0.0]).unwrap(), 1);
}

#[test]
fn a_chain_of_small_steps_is_not_one_picture() {
    let steps: Vec<[f32; 3]> =
        (0..10).map(|step| [(step as f32 * 0.1).cos(), (step as f32 * 0.1).sin(), 0.0]).collect();
    // cos 0.1 is 0.995: each is within 0.006 of the next, the last nowhere near the first.
    let groups = duplicates(&vectors(&steps), 0.006, &mut || {});
    assert_eq!(groups, [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]);
    assert_eq!(duplicates(&vectors(&[X, Y, X, Z, Y]), 0.0, &mut || {}), [[0, 2], [1, 4]]);
    assert!(duplicates(&Vectors::new(3), 0.1, &mut || {}).is_empty());
}

#[test]
fn an_image_between_two_first_ones_joins_the_nearer() {
    let at = |angle: f32| [angle.cos(), angle.sin(), 0.0];
    let groups = duplicates(&vectors(&[at(0.0), at(0.3), at(0.1), at(0.2)]), 0.025, &mut || {});
    assert_eq!(groups, [[0, 2], [1, 3]]);
}

#[test]
fn the_gate_reports_how_many_images_pass() {
    let wanted = Direction::normalised(&X).unwrap();
    let none = gate(&vectors(&[Y, Y]), &wanted, &vectors(&[Y]));
    assert_eq!((none.kept, &none.weights[..]), (0, &[0.0, 0.0][..]));
    let one = gate(&vectors(&[Y, X]), &wanted, &vectors(&[Y, Z]));
    assert_eq!((one.kept, &one.weights[..]), (1, &[0.0, 1.0][..]));
    let all = gate(&vectors(&[Y, X]), &wanted, &Vectors::new(3));
    assert_eq!(all.kept, 2, "without others everything passes");
}

#[test]
fn prompts_for_the_named_thing_are_left_out() {
    assert!(contrast_prompts("a wedding venue").contains(&"a wedding dress"));
    assert!(!contrast_prompts("Summer wedding dresses").contains(&"a wedding dress"));
    assert!(!contrast_prompts("a bouquet").contains(&"a bouquet of flowers"));
    for wanted in ["", "a photo of a barn", "dress cake bouquet ring"] {
        assert!(contrast_prompts(wanted).contains(&"a photo"), "{wanted}");
    }
}

#[test]
fn boards_with_the_same_tastes_in_other_shares_are_alike() {
    let left = found(&vectors(&[X, X, X, Y]), Some(2));
    let right = found(&vectors(&[Y, X, Y, Y]), Some(2));
    let between = found(&vectors(&[[1.0, 1.0, 0.0]]), None);
    assert!((likeness(&left, &right) - 1.0).abs() < 1e-6);
    assert!(likeness(&left, &between) < 0.8);
    assert_eq!(likeness(&left, &between), likeness(&between, &left));
    assert_eq!(likeness(&left, &[]), 0.0);
}

#[test]
fn the_nearest_come_first_and_ties_keep_their_order() {
    let images = vectors(&[Y, X, Y, Z]);
    let order: Vec<usize> =
        nearest(&images, &Direction::normalised(&Y).unwrap(), 9).iter().map(|&(index, _)| index).collect();
    assert_eq!(order, [0, 2, 1, 3]);
}

/// Barns, beaches and lakes, which have a topic in common, and dresses: directions in a cone, like those of images.
const BARN: [f32; 6] = [1.0, 0.6, 0.9, 0.0, 0.0, 0.0];
const BEACH: [f32; 6] = [1.0, 0.6, 0.0, 0.9, 0.0, 0.0];
const LAKE: [f32; 6] = [1.0, 0.6, 0.0, 0.0, 0.9, 0.0];
const DRESS: [f32; 6] = [1.0, 0.0, 0.0, 0.0, 0.0, 1.1];

/// Numbers of a picture: six for its kind, the others random.
const NUMBERS: usize = 64;

/// Different pictures of each kind, and their numbers.
fn pictures(kinds: &[([f32; 6], usize)]) -> Vectors {
    let mut pictures = Vectors::new(NUMBERS);
    let mut random = fastrand::Rng::with_seed(1);
    for &(kind, count) in kinds {
        for _ in 0..count {
            let noise = (kind.len()..NUMBERS).map(|_| 0.35 * (random.f32() - 0.5));
            let picture: Vec<f32> = kind.into_iter().chain(noise).collect();
            pictures.push(&picture).expect("a direction");
        }
    }
    pictures
}

/// The support of a table for barns, beaches and dresses.
fn supported(rows: &Vectors) -> Vec<Support> {
    let themes: Vec<Theme> = [BARN, BEACH, DRESS].iter().flat_map(|&kind| found_of(&pictures(&[(kind, 12)]))).collect();
    supports(&themes, rows, &[0; 3], &SupportRule::default(), &mut || {})
}

fn found_of(images: &Vectors) -> Vec<Theme> {
    themes(images, None, &ThemeOptions { count: Some(1), ..ThemeOptions::default() }, &mut || {})
}

fn served(kinds: &[([f32; 6], usize)]) -> [bool; 3] {
    let supports = supported(&pictures(kinds));
    std::array::from_fn(|theme| supports[theme].served)
}

#[test]
fn a_theme_with_hardly_a_row_in_a_table_of_something_else_is_left_out() {
    let venues = [(BARN, 12), (BEACH, 12), (LAKE, 12)];
    let with = |kind, count| served(&[venues[0], venues[1], venues[2], (kind, count)]);
    assert_eq!(with(DRESS, 0), [true, true, false]);
    assert_eq!(with(DRESS, 1), [true, true, false]);
    // As many rows as the other themes have, or enough in any case.
    assert_eq!(with(DRESS, 12), [true; 3]);
    let many = [(BARN, 200), (BEACH, 100), (LAKE, 100), (DRESS, 12)];
    assert_eq!(served(&many), [true; 3]);
    // Few rows, but like the rest of the table.
    assert_eq!(served(&[(BARN, 12), (LAKE, 12), (BEACH, 1)])[..2], [true; 2]);
}

#[test]
fn more_rows_leave_a_served_theme_served() {
    let of = |dresses| served(&[(BARN, 12), (BEACH, 12), (LAKE, 12), (DRESS, dresses)])[2];
    let verdicts: Vec<bool> = (0..=12).map(of).collect();
    let first = verdicts.iter().position(|&served| served).expect("twelve are enough");
    assert!(first > 1 && first < 10, "{verdicts:?}");
    assert!(verdicts[first..].iter().all(|&served| served), "{verdicts:?}");
}

#[test]
fn with_too_few_rows_every_theme_is_served() {
    assert_eq!(served(&[]), [true; 3]);
    assert_eq!(served(&[(DRESS, 1)]), [true; 3]);
    assert_eq!(served(&[(BARN, 3), (DRESS, 1)]), [true; 3], "one of four rows is not hardly any");
    let alone = found_of(&pictures(&[(DRESS, 12)]));
    let supports = supports(&alone, &pictures(&[(BARN, 20)]), &[0], &SupportRule::default(), &mut || {});
    assert!(supports[0].served, "a theme alone always is");
}

#[test]
fn copies_of_one_picture_count_once() {
    let mut rows = pictures(&[(BARN, 12), (BEACH, 12), (LAKE, 12), (DRESS, 1)]);
    let dress = rows.row(36).to_vec();
    (0..20).for_each(|_| rows.push(&dress).expect("a row is a direction"));
    let dresses = supported(&rows)[2];
    assert!(dresses.rows == 1 && !dresses.served, "{dresses:?}");
}

#[test]
#[should_panic(expected = "1 counts for 2 themes")]
fn every_theme_needs_its_count() {
    let themes = found(&vectors(&[X, Y]), Some(2));
    supports(&themes, &vectors(&[X]), &[0], &SupportRule::default(), &mut || {});
}
