//! Tables and boards for tuning a rule, and others for testing it.

use taste::SupportRule;

use crate::geometry::{Kind, MadeOf, Shape, World};
use crate::instance::Instance;
use crate::random::Random;

/// A kind of table and board.
pub struct Trial {
    pub name: &'static str,
    pub instances: Vec<Instance>,
}

const BOARDS: u64 = 40;

/// Worlds that differ from the default in one property.
pub fn tuning() -> Vec<Trial> {
    let default = Shape::default;
    let trials: Vec<(&'static str, Kind, Shape)> = vec![
        ("mixed", Kind::Mixed, default()),
        ("venues alone", Kind::VenuesOnly, default()),
        ("one taste", Kind::OneTaste, default()),
        ("no distractors", Kind::Mixed, Shape { distractors: (0, 0), ..default() }),
        ("three distractors of a kind", Kind::Mixed, Shape { distractors: (3, 3), ..default() }),
        ("families of 1 to 24 rows", Kind::Mixed, Shape { rows: (1, 24), ..default() }),
        ("table of everything", Kind::Mixed, Shape { distractors: (12, 12), everything: true, ..default() }),
        ("everything, one row each", Kind::Mixed, Shape { rows: (1, 1), everything: true, ..default() }),
        (
            "everything, in small part",
            Kind::Mixed,
            Shape { rows: (60, 60), distractors: (15, 15), everything: true, ..default() },
        ),
        (
            "small table",
            Kind::Mixed,
            Shape { venue_families: 5, other_topics: 3, rows: (1, 4), distractors: (0, 1), ..default() },
        ),
        ("large table", Kind::Mixed, Shape { rows: (100, 100), distractors: (1, 2), ..default() }),
        ("texts", Kind::Mixed, Shape { made_of: MadeOf::Texts, ..default() }),
        (
            "texts of everything",
            Kind::Mixed,
            Shape { made_of: MadeOf::Texts, distractors: (12, 12), everything: true, ..default() },
        ),
        ("images and texts", Kind::Mixed, Shape { made_of: MadeOf::Both, ..default() }),
        ("each row twice", Kind::Mixed, Shape { copies: 2, ..default() }),
        ("copies of pins", Kind::Mixed, Shape { copied_pins: true, ..default() }),
        ("topics half as clear", Kind::Mixed, Shape { topic: 0.15, ..default() }),
        ("no topics", Kind::Mixed, Shape { topic: 0.0, ..default() }),
    ];
    let instances = |shape: &Shape, kind| {
        (0..BOARDS).map(|seed| World::shaped(shape.clone(), 2000 + seed).board(kind, 2000 + seed)).collect()
    };
    trials.into_iter().map(|(name, kind, shape)| Trial { name, instances: instances(&shape, kind) }).collect()
}

/// One number of the rule at a time.
pub fn rules() -> Vec<(String, SupportRule)> {
    let default = SupportRule::default();
    let likeness = [0.35, 0.5, 0.6, 0.7, 0.8];
    let likeness = likeness.map(|likeness| (format!("likeness {likeness}"), SupportRule { likeness, ..default }));
    let share = [("1/5", 0.2), ("1/4", 0.25), ("1/3", 1.0 / 3.0), ("1/2", 0.5)];
    let share = share.map(|(name, share)| (format!("share {name}"), SupportRule { share, ..default }));
    let enough = [5, 8, 10, 12, 20];
    let enough = enough.map(|enough| (format!("enough {enough}"), SupportRule { enough, ..default }));
    let judges = [3, 5, 10, 20];
    let judges = judges.map(|judges| (format!("judges {judges}"), SupportRule { judges, ..default }));
    let distance = [0.5, 0.75, 1.0, 1.25, 1.5, 2.0];
    let distance = distance.map(|distance| (format!("distance {distance}"), SupportRule { distance, ..default }));
    likeness.into_iter().chain(share).chain(enough).chain(judges).chain(distance).collect()
}

/// Every board in a world of a different random shape.
pub fn held_out() -> Vec<Trial> {
    type Change = fn(&mut Shape, &mut Random);
    let trials: Vec<(&'static str, Kind, Change)> = vec![
        ("mixed", Kind::Mixed, |_, _| {}),
        ("venues alone", Kind::VenuesOnly, |_, _| {}),
        ("one taste", Kind::OneTaste, |_, _| {}),
        ("no distractors", Kind::Mixed, |shape, _| shape.distractors = (0, 0)),
        ("two to four distractors of a kind", Kind::Mixed, |shape, _| {
            shape.rows = (8, 40);
            shape.distractors = (2, 4);
        }),
        ("families of 1 to 30 rows", Kind::Mixed, |shape, _| shape.rows = (1, 30)),
        ("table of everything", Kind::Mixed, |shape, random| {
            let rows = random.integer(5, 30);
            shape.rows = (rows, 2 * rows);
            shape.distractors = shape.rows;
            shape.everything = true;
        }),
        ("everything, 1 to 3 rows each", Kind::Mixed, |shape, _| {
            shape.rows = (1, 3);
            shape.distractors = (1, 3);
            shape.everything = true;
        }),
        ("everything, in small part", Kind::Mixed, |shape, _| {
            shape.rows = (50, 90);
            shape.distractors = (12, 25);
            shape.venue_families = shape.venue_families.min(20);
            shape.everything = true;
        }),
        ("small table", Kind::Mixed, |shape, random| {
            shape.venue_families = random.integer(3, 7);
            shape.other_topics = 4;
            shape.rows = (1, 3);
            shape.distractors = (0, 1);
        }),
        ("large table", Kind::Mixed, |shape, _| {
            shape.rows = (60, 150);
            shape.venue_families = shape.venue_families.min(20);
            shape.distractors = (0, 3);
        }),
        ("texts", Kind::Mixed, |shape, _| shape.made_of = MadeOf::Texts),
        ("texts of everything", Kind::Mixed, |shape, _| {
            shape.made_of = MadeOf::Texts;
            shape.distractors = shape.rows;
            shape.everything = true;
        }),
        ("images and texts", Kind::Mixed, |shape, _| shape.made_of = MadeOf::Both),
        ("each row three times", Kind::Mixed, |shape, _| shape.copies = 3),
        ("copies of pins", Kind::Mixed, |shape, _| {
            shape.distractors = (0, 1);
            shape.copied_pins = true;
        }),
        ("weak topics", Kind::Mixed, |shape, random| shape.topic = random.range(0.05, 0.15)),
    ];
    let instance = |change: Change, kind, seed| {
        let random = &mut Random::new(seed ^ 0x5A17E);
        let least = random.integer(3, 8);
        let mut shape = Shape {
            venue_families: random.integer(8, 40),
            other_topics: random.integer(3, 12),
            families_of_other_topic: random.integer(1, 3),
            cone: random.range(0.35, 0.65),
            topic: random.range(0.2, 0.45),
            tightness: (random.range(0.3, 0.45), random.range(0.55, 0.85)),
            style: random.range(0.2, 0.8),
            styles: random.integer(8, 64),
            rows: (least, least + random.integer(2, 30)),
            distractors: (0, 2),
            pins: (random.integer(20, 60), random.integer(100, 400)),
            tastes: (1, 6),
            other_share: (0.05, 0.6),
            others: (1, random.integer(1, 6)),
            strays: random.range(0.0, 0.12),
            ..Shape::default()
        };
        change(&mut shape, random);
        shape.others.1 = shape.others.1.min(shape.other_topics * shape.families_of_other_topic);
        shape.tastes.1 = shape.tastes.1.min(shape.venue_families);
        World::shaped(shape, seed).board(kind, seed)
    };
    trials
        .into_iter()
        .enumerate()
        .map(|(place, (name, kind, change))| Trial {
            name,
            instances: (0..BOARDS).map(|seed| instance(change, kind, 9000 + 100 * place as u64 + seed)).collect(),
        })
        .collect()
}
