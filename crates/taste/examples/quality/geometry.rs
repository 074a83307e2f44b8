//! Embeddings with the geometry of CLIP's, of known families.
//!
//! * A cone: every image has a large part in common, so that unrelated ones still have cosines around 0.5.
//! * A modality gap (Liang et al., Mind the Gap, NeurIPS 2022): texts are in a separate cone; an image and a text that fits
//!   have a cosine around 0.28, others around 0.2.
//! * Topics and families: venues have something in common, barns have more; images of a family have cosines of 0.7 to 0.85.
//! * Noise in few directions that all families share (light, colour, style) and in all directions.

use taste::{Direction, Vectors};

use crate::instance::{Instance, Topic};
use crate::random::Random;

const DIMENSION: usize = 512;

/// The properties of a world, its table and its boards. Numbers are uniform in ranges, `low..=high`.
#[derive(Clone, Debug)]
pub struct Shape {
    pub venue_families: usize,
    /// Dresses, cakes, flowers, …: topics with families.
    pub other_topics: usize,
    pub families_of_other_topic: usize,
    /// Share of an image's squared norm that all images have in common.
    pub cone: f64,
    /// Share of a family's squared norm that is its topic.
    pub topic: f64,
    /// Share of the squared norm, without the cone, that is the family.
    pub tightness: (f64, f64),
    /// Share of the noise's squared norm in directions that all families have in common, and the number of these.
    pub style: f64,
    pub styles: usize,
    /// Rows of the table for each family of venues, and for each family of other topics: at its default one row in twenty.
    pub rows: (usize, usize),
    pub distractors: (usize, usize),
    /// Whether these are liked too, so that all topics of a board are in the table.
    pub everything: bool,
    /// The inputs of the rows' embeddings.
    pub made_of: MadeOf,
    /// The number of copies of each row.
    pub copies: usize,
    /// Whether an image of each other topic on the board is a row of the table as well.
    pub copied_pins: bool,
    pub pins: (usize, usize),
    /// Families of venues on a board, share of other topics, families of those, and strays.
    pub tastes: (usize, usize),
    pub other_share: (f64, f64),
    pub others: (usize, usize),
    pub strays: f64,
}

/// The inputs of the table's embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeOf {
    Images,
    Texts,
    /// A text for each image.
    Both,
}

impl Default for Shape {
    /// The world in which settings were chosen, with mixed boards.
    fn default() -> Self {
        Self {
            venue_families: 24,
            other_topics: 8,
            families_of_other_topic: 2,
            cone: 0.5,
            topic: 0.3,
            tightness: (0.4, 0.7),
            style: 0.6,
            styles: 24,
            rows: (12, 12),
            distractors: (1, 1),
            everything: false,
            made_of: MadeOf::Images,
            copies: 1,
            copied_pins: false,
            pins: (40, 240),
            tastes: (2, 5),
            other_share: (0.3, 0.6),
            others: (2, 5),
            strays: 0.06,
        }
    }
}

/// The parts of all embeddings.
pub struct World {
    shape: Shape,
    cone: Vec<f64>,
    text_cone: Vec<f64>,
    topics: Vec<Vec<f64>>,
    families: Vec<Family>,
    styles: Vec<Vec<f64>>,
    venues: Vectors,
    shown: Vec<usize>,
}

struct Family {
    topic: usize,
    direction: Vec<f64>,
    /// Share of the squared norm, without the cone, that is the family.
    tightness: f64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::shaped(Shape::default(), seed)
    }

    /// A world of another shape than the default.
    pub fn shaped(shape: Shape, seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let topics: Vec<_> = (0..=shape.other_topics).map(|_| random.direction(DIMENSION)).collect();
        let topic_of = |family: usize| match family.checked_sub(shape.venue_families) {
            None => 0,
            Some(other) => 1 + other / shape.families_of_other_topic,
        };
        let families = (0..shape.venue_families + shape.other_topics * shape.families_of_other_topic)
            .map(|family| {
                let topic = topic_of(family);
                let direction =
                    sum(&[(shape.topic, &topics[topic]), (1.0 - shape.topic, &random.direction(DIMENSION))]);
                Family { topic, direction, tightness: random.range(shape.tightness.0, shape.tightness.1) }
            })
            .collect();
        let mut world = Self {
            cone: random.direction(DIMENSION),
            text_cone: random.direction(DIMENSION),
            topics,
            families,
            styles: (0..shape.styles).map(|_| random.direction(DIMENSION)).collect(),
            venues: Vectors::new(DIMENSION),
            shown: Vec::new(),
            shape,
        };
        let Shape { rows: per_venue, distractors, made_of, copies, .. } = world.shape;
        for family in 0..world.families.len() {
            let (low, high) = if world.is_venue(family) { per_venue } else { distractors };
            let rows = if low < high { random.integer(low, high) } else { low };
            for _ in 0..rows {
                if made_of != MadeOf::Texts {
                    let image = world.image(family, random);
                    (0..copies).for_each(|_| world.add(&image, family));
                }
                if made_of != MadeOf::Images {
                    let text = world.caption(family, random);
                    (0..copies).for_each(|_| world.add(&text, family));
                }
            }
        }
        world
    }

    fn add(&mut self, row: &[f32], family: usize) {
        self.venues.push(row).expect("an embedding has a direction");
        self.shown.push(family);
    }

    fn is_venue(&self, family: usize) -> bool {
        self.families[family].topic == 0
    }

    /// A picture of a family.
    fn image(&self, family: usize, random: &mut Random) -> Vec<f32> {
        let Family { direction, tightness, .. } = &self.families[family];
        let scale = (self.styles.len() as f64).sqrt();
        let mut style = vec![0.0; DIMENSION];
        for direction in &self.styles {
            let strength = random.bell() / scale;
            style.iter_mut().zip(direction).for_each(|(sum, value)| *sum += strength * value);
        }
        let Shape { cone, style: shared, .. } = self.shape;
        let content = 1.0 - cone;
        let noise = content * (1.0 - tightness);
        let image = sum(&[
            (cone, &self.cone),
            (content * tightness, direction),
            (noise * shared, &style),
            (noise * (1.0 - shared), &random.direction(DIMENSION)),
        ]);
        image.into_iter().map(|value| value as f32).collect()
    }

    /// A text about a topic, or about nothing.
    fn text(&self, topic: Option<usize>, random: &mut Random) -> Vec<f32> {
        let about = topic.map_or_else(|| random.direction(DIMENSION), |topic| self.topics[topic].clone());
        self.text_about(&about, random)
    }

    /// A text that describes an image of a family.
    fn caption(&self, family: usize, random: &mut Random) -> Vec<f32> {
        self.text_about(&self.families[family].direction, random)
    }

    fn text_about(&self, about: &[f64], random: &mut Random) -> Vec<f32> {
        // Texts differ in their distance from all images, which is the error of a comparison of two texts.
        let lift = 0.08 + 0.01 * random.bell().abs();
        let text =
            sum(&[(0.55, &self.text_cone), (lift, &self.cone), (0.10, about), (0.27, &random.direction(DIMENSION))]);
        text.into_iter().map(|value| value as f32).collect()
    }

    /// A board of this world: some families of venues in unequal shares, other topics, strays.
    pub fn board(&self, kind: Kind, seed: u64) -> Instance {
        let random = &mut Random::new(seed ^ 0xB0A2D);
        let shape = &self.shape;
        let mut venues: Vec<usize> = (0..shape.venue_families).collect();
        let mut others: Vec<usize> = (shape.venue_families..self.families.len()).collect();
        random.shuffle(&mut venues);
        random.shuffle(&mut others);
        let tastes = match kind {
            Kind::OneTaste => 1,
            _ => random.integer(shape.tastes.0, shape.tastes.1),
        };
        let pins = random.integer(shape.pins.0, shape.pins.1);
        let mut shares: Vec<f64> = (0..tastes).map(|_| random.range(0.5, 3.0)).collect();
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= total);
        let mut liked: Vec<(usize, f64)> = venues.iter().copied().zip(shares).collect();
        let (other_share, strays) = match kind {
            Kind::Mixed => (random.range(shape.other_share.0, shape.other_share.1), shape.strays),
            Kind::VenuesOnly => (0.0, shape.strays),
            Kind::OneTaste => (0.0, 0.0),
        };
        let mut shown = Vec::with_capacity(pins);
        for &(family, share) in &liked {
            let count = ((1.0 - other_share - strays) * share * pins as f64).round().max(3.0) as usize;
            shown.extend(std::iter::repeat_n(family, count));
        }
        let kinds = random.integer(shape.others.0, shape.others.1);
        for place in 0..(other_share * pins as f64) as usize {
            shown.push(others[place % kinds]);
        }
        for _ in 0..(strays * pins as f64) as usize {
            shown.push(random.integer(0, self.families.len() - 1));
        }
        random.shuffle(&mut shown);
        let mut board = Vectors::new(DIMENSION);
        for &family in &shown {
            board.push(&self.image(family, random)).expect("an image has a direction");
        }
        let (mut table, mut families) = (self.venues.clone(), self.shown.clone());
        if shape.copied_pins {
            for &other in &others[..kinds] {
                let Some(pin) = shown.iter().position(|&family| family == other) else { continue };
                table.push(board.row(pin)).expect("a row is a direction");
                families.push(other);
            }
        }
        if shape.everything {
            liked.extend(others[..kinds].iter().map(|&other| (other, other_share / kinds as f64)));
            liked.retain(|&(family, _)| shown.iter().filter(|&&other| other == family).count() >= 3);
        }
        // A family without rows in the table cannot be recommended.
        liked.retain(|(family, _)| families.contains(family));
        let disliked_family = liked.first().map_or(0, |&(family, _)| family);
        let mut disliked = Vectors::new(DIMENSION);
        for _ in 0..20 {
            disliked.push(&self.image(disliked_family, random)).expect("an image has a direction");
        }
        Instance {
            board,
            shown,
            liked,
            disliked,
            disliked_family,
            venues: table,
            families,
            topic: Some(self.topic(random)),
        }
    }

    fn topic(&self, random: &mut Random) -> Topic {
        let wanted = Direction::normalised(&self.text(Some(0), random)).expect("a text has a direction");
        let mut others = Vectors::new(DIMENSION);
        others.push(&self.text(None, random)).expect("a text has a direction");
        // Prompts for three quarters of the other topics: a user does not name all of them.
        for topic in 1..=self.shape.other_topics * 3 / 4 {
            others.push(&self.text(Some(topic), random)).expect("a text has a direction");
        }
        Topic { wanted, others, is_about: self.families.iter().map(|family| family.topic == 0).collect() }
    }
}

/// The contents of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two to five families of venues, dresses and cakes for a third to 60 %, a few strays.
    Mixed,
    /// Two to five families of venues and a few strays.
    VenuesOnly,
    /// One family.
    OneTaste,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "Mixed boards",
            Self::VenuesOnly => "Boards of venues alone",
            Self::OneTaste => "Boards of one taste",
        }
    }
}

/// The sum of directions of squared norm 1, by the shares of the square that each is to have.
fn sum(parts: &[(f64, &[f64])]) -> Vec<f64> {
    let mut total = vec![0.0; DIMENSION];
    for (share, part) in parts {
        let scale = share.sqrt();
        total.iter_mut().zip(*part).for_each(|(sum, value)| *sum += scale * value);
    }
    total
}
