//! The order of the methods on a few boards with known answers, to detect a loss of quality; docs/quality.md has the
//! measurements on many boards.

#[allow(dead_code, reason = "the benchmark prints more")]
#[path = "../examples/quality/geometry.rs"]
mod geometry;
#[path = "../examples/quality/instance.rs"]
mod instance;
#[allow(dead_code, reason = "the benchmark prints more")]
#[path = "../examples/quality/methods.rs"]
mod methods;
#[allow(dead_code, reason = "the benchmark prints more")]
#[path = "../examples/quality/metrics.rs"]
mod metrics;
#[path = "../examples/quality/random.rs"]
mod random;

use geometry::{Kind, MadeOf, Shape, World};
use instance::Instance;
use methods::{Method, answer, recommended};
use metrics::{DEEP, Scores, adjusted_rand_index};
use taste::{Ranking, Taste, ThemeOptions, themes};

fn boards(kind: Kind) -> Vec<Instance> {
    (100..108).map(|seed| World::new(seed).board(kind, seed)).collect()
}

fn shaped(shape: &Shape) -> Vec<Instance> {
    (100..108).map(|seed| World::shaped(shape.clone(), seed).board(Kind::Mixed, seed)).collect()
}

/// Mean scores over the boards.
fn mean(instances: &[Instance], ranking: &Ranking, taste: impl Fn(&Instance) -> Taste) -> Scores {
    let mut sum = Scores::default();
    for instance in instances {
        add(&mut sum, Scores::of(instance, &answer(instance, &taste(instance), ranking, DEEP)), instances.len());
    }
    sum
}

/// Mean scores of a method with its defaults.
fn by_default(instances: &[Instance], method: Method) -> Scores {
    let mut sum = Scores::default();
    for instance in instances {
        let picked = recommended(method, instance, &method.taste(instance), &Ranking::default(), DEEP);
        add(&mut sum, Scores::of(instance, &picked), instances.len());
    }
    sum
}

fn add(sum: &mut Scores, scores: Scores, count: usize) {
    let share = 1.0 / count as f64;
    sum.recall += share * scores.recall;
    sum.ndcg += share * scores.ndcg;
    sum.novelty += share * scores.novelty;
    sum.coverage += share * scores.coverage;
    sum.distance += share * scores.distance;
}

#[test]
fn themes_with_the_gate_are_best_on_mixed_boards() {
    let boards = boards(Kind::Mixed);
    let of = |method: Method| mean(&boards, &Ranking::default(), |board| method.taste(board));
    let best = of(Method::GatedThemes);
    for method in [Method::Mean, Method::NearestPin, Method::Themes, Method::GatedMean] {
        let other = of(method);
        assert!(best.novelty > other.novelty + 0.03, "{}: {other:?}, best: {best:?}", method.name());
        assert!(best.recall > other.recall + 0.01, "{}: {other:?}, best: {best:?}", method.name());
    }
    assert!(best.novelty > 0.9 && best.coverage > 0.95, "{best:?}");
}

#[test]
fn themes_beat_the_mean_on_boards_of_venues_only() {
    let boards = boards(Kind::VenuesOnly);
    let of = |method: Method| mean(&boards, &Ranking::default(), |board| method.taste(board));
    let (themes, average) = (of(Method::Themes), of(Method::Mean));
    assert!(themes.novelty > average.novelty + 0.1 && themes.recall > average.recall + 0.1, "{themes:?} {average:?}");
}

#[test]
fn the_default_diversity_is_better_than_none_and_most() {
    let boards = boards(Kind::Mixed);
    let of = |diversity| {
        mean(&boards, &Ranking { diversity, ..Ranking::default() }, |board| Method::GatedThemes.taste(board))
    };
    let (none, default, most) = (of(0.0), of(taste::DEFAULT_DIVERSITY), of(1.0));
    assert!(default.novelty > none.novelty + 0.05 && default.novelty > most.novelty + 0.05);
    assert!(default.ndcg > none.ndcg - 0.05, "{default:?} {none:?}");
    assert!(none.distance < default.distance && default.distance < most.distance);
}

#[test]
fn the_families_are_found_and_one_family_is_not_split() {
    for board in boards(Kind::VenuesOnly) {
        let themes = themes(&board.board, None, &ThemeOptions::default(), &mut || {});
        let mut labels = vec![usize::MAX; board.board.len()];
        for (label, theme) in themes.iter().enumerate() {
            theme.members.iter().for_each(|&member| labels[member] = label);
        }
        let agreement = adjusted_rand_index(&labels, &board.shown);
        assert!(agreement > 0.8, "adjusted Rand index {agreement:.3}");
    }
    for board in boards(Kind::OneTaste) {
        assert_eq!(themes(&board.board, None, &ThemeOptions::default(), &mut || {}).len(), 1);
    }
}

#[test]
fn rows_like_a_disliked_board_rank_lower() {
    let boards: Vec<Instance> = boards(Kind::Mixed).into_iter().map(Instance::averse).collect();
    let of = |averse: bool| {
        mean(&boards, &Ranking::default(), |board| {
            let against = themes(&board.disliked, None, &ThemeOptions::default(), &mut || {});
            let against = if averse { against } else { Vec::new() };
            Taste { against, ..Method::GatedThemes.taste(board) }
        })
    };
    let (with, without) = (of(true), of(false));
    assert!(with.ndcg > without.ndcg + 0.15 && with.recall >= without.recall, "{with:?} {without:?}");
}

#[test]
fn the_gate_distinguishes_venues_from_the_rest() {
    let (mut right, mut images) = (0, 0);
    for board in boards(Kind::Mixed) {
        let topic = board.topic.as_ref().expect("the world has texts");
        let gated = taste::gate(&board.board, &topic.wanted, &topic.others);
        let kept = gated.weights.iter().filter(|&&weight| weight > 0.0).count();
        assert_eq!(kept, gated.kept);
        let verdicts = board.shown.iter().zip(&gated.weights);
        right += verdicts.filter(|(family, weight)| topic.is_about[**family] == (**weight > 0.0)).count();
        images += board.board.len();
    }
    assert!(right as f64 > 0.9 * images as f64, "{right} of {images}");
}

#[test]
fn themes_without_rows_in_the_table_take_no_places() {
    let few = Shape::default();
    let copies = Shape { copies: 2, copied_pins: true, ..Shape::default() };
    for shape in [few, copies] {
        let boards = shaped(&shape);
        let (all, served) = (by_default(&boards, Method::Themes), by_default(&boards, Method::ServedThemes));
        assert!(served.ndcg > 0.95 && served.novelty > 0.92, "{served:?}");
        assert!(served.ndcg > all.ndcg + 0.15 && served.novelty > all.novelty + 0.05, "{served:?} {all:?}");
        assert!(served.recall >= all.recall, "{served:?} {all:?}");
    }
}

#[test]
fn if_the_table_has_rows_for_every_theme_nothing_is_lost() {
    let everything = Shape { distractors: (12, 12), everything: true, ..Shape::default() };
    let one_each = Shape { rows: (1, 1), everything: true, ..Shape::default() };
    let in_small_part = Shape { rows: (40, 40), distractors: (12, 12), everything: true, ..Shape::default() };
    let texts = Shape { made_of: MadeOf::Texts, ..everything.clone() };
    for shape in [everything, one_each, in_small_part, texts] {
        let boards = shaped(&shape);
        let (all, served) = (by_default(&boards, Method::Themes), by_default(&boards, Method::ServedThemes));
        assert!(served.ndcg > all.ndcg - 0.02 && served.novelty > all.novelty - 0.02, "{shape:?}: {served:?} {all:?}");
    }
}
