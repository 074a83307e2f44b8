//! Embeddings as CLIP's lie, with families that are known.
//!
//! * A cone: every image has a large part in common, so that unrelated ones still have cosines around 0.5.
//! * A modality gap (Liang et al., Mind the Gap, NeurIPS 2022): texts lie in a cone of their own; an image and the text that
//!   fits have a cosine around 0.28, others around 0.2.
//! * Topics and families: venues have something in common, barns have more; images of a family have cosines of 0.7 to 0.85.
//! * Noise in few directions that all families share (light, colour, style) and in all directions.

use taste::{Direction, Vectors};

use crate::instance::{Instance, Topic};
use crate::random::Random;

const DIMENSION: usize = 512;
const VENUE_FAMILIES: usize = 24;
/// Dresses, cakes, flowers, …: topics of their own, with families within.
const OTHER_TOPICS: usize = 8;
const FAMILIES_OF_OTHER_TOPIC: usize = 2;
const VENUES_OF_FAMILY: usize = 12;
/// Rows of the venues' table that show something else, a dress or a cake: one in twenty.
const DISTRACTORS_OF_FAMILY: usize = 1;

/// Share of an image's square that all images have in common.
const CONE: f64 = 0.5;
/// Share of a family's square that its topic makes up.
const TOPIC: f64 = 0.3;
/// Share of the noise's square in directions that all families have in common.
const STYLE: f64 = 0.6;
const STYLES: usize = 24;

/// All that embeddings are made from.
pub struct World {
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
    /// Share of the square of what an image is beside the cone that its family makes up.
    tightness: f64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let topics: Vec<_> = (0..=OTHER_TOPICS).map(|_| random.direction(DIMENSION)).collect();
        let topic_of = |family: usize| match family.checked_sub(VENUE_FAMILIES) {
            None => 0,
            Some(other) => 1 + other / FAMILIES_OF_OTHER_TOPIC,
        };
        let families = (0..VENUE_FAMILIES + OTHER_TOPICS * FAMILIES_OF_OTHER_TOPIC)
            .map(|family| {
                let topic = topic_of(family);
                let direction = sum(&[(TOPIC, &topics[topic]), (1.0 - TOPIC, &random.direction(DIMENSION))]);
                Family { topic, direction, tightness: random.range(0.4, 0.7) }
            })
            .collect();
        let mut world = Self {
            cone: random.direction(DIMENSION),
            text_cone: random.direction(DIMENSION),
            topics,
            families,
            styles: (0..STYLES).map(|_| random.direction(DIMENSION)).collect(),
            venues: Vectors::new(DIMENSION),
            shown: Vec::new(),
        };
        for family in 0..world.families.len() {
            let rows = if world.is_venue(family) { VENUES_OF_FAMILY } else { DISTRACTORS_OF_FAMILY };
            for _ in 0..rows {
                let image = world.image(family, random);
                world.venues.push(&image).expect("an image has a direction");
                world.shown.push(family);
            }
        }
        world
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
        let content = 1.0 - CONE;
        let noise = content * (1.0 - tightness);
        let image = sum(&[
            (CONE, &self.cone),
            (content * tightness, direction),
            (noise * STYLE, &style),
            (noise * (1.0 - STYLE), &random.direction(DIMENSION)),
        ]);
        image.into_iter().map(|value| value as f32).collect()
    }

    /// A text about a topic, or about nothing.
    fn text(&self, topic: Option<usize>, random: &mut Random) -> Vec<f32> {
        let about = topic.map_or_else(|| random.direction(DIMENSION), |topic| self.topics[topic].clone());
        // Texts differ in how near they are to images as such; that much can be wrong about a comparison of two.
        let lift = 0.08 + 0.01 * random.bell().abs();
        let text =
            sum(&[(0.55, &self.text_cone), (lift, &self.cone), (0.10, &about), (0.27, &random.direction(DIMENSION))]);
        text.into_iter().map(|value| value as f32).collect()
    }

    /// A board of this world: some families of venues in unequal shares, other topics, strays.
    pub fn board(&self, kind: Kind, seed: u64) -> Instance {
        let random = &mut Random::new(seed ^ 0xB0A2D);
        let mut venues: Vec<usize> = (0..VENUE_FAMILIES).collect();
        let mut others: Vec<usize> = (VENUE_FAMILIES..self.families.len()).collect();
        random.shuffle(&mut venues);
        random.shuffle(&mut others);
        let tastes = match kind {
            Kind::OneTaste => 1,
            _ => random.integer(2, 5),
        };
        let pins = random.integer(40, 240);
        let mut shares: Vec<f64> = (0..tastes).map(|_| random.range(0.5, 3.0)).collect();
        let total: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= total);
        let liked: Vec<(usize, f64)> = venues.iter().copied().zip(shares).collect();
        let (other_share, strays) = match kind {
            Kind::Mixed => (random.range(0.3, 0.6), 0.06),
            Kind::VenuesOnly => (0.0, 0.06),
            Kind::OneTaste => (0.0, 0.0),
        };
        let mut shown = Vec::with_capacity(pins);
        for &(family, share) in &liked {
            let count = ((1.0 - other_share - strays) * share * pins as f64).round().max(3.0) as usize;
            shown.extend(std::iter::repeat_n(family, count));
        }
        let kinds = random.integer(2, 5);
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
        let disliked_family = liked[0].0;
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
            venues: self.venues.clone(),
            families: self.shown.clone(),
            topic: Some(self.topic(random)),
        }
    }

    fn topic(&self, random: &mut Random) -> Topic {
        let wanted = Direction::normalised(&self.text(Some(0), random)).expect("a text has a direction");
        let mut others = Vectors::new(DIMENSION);
        others.push(&self.text(None, random)).expect("a text has a direction");
        // Prompts for three quarters of what else there is: nobody thinks of everything.
        for topic in 1..=OTHER_TOPICS * 3 / 4 {
            others.push(&self.text(Some(topic), random)).expect("a text has a direction");
        }
        Topic { wanted, others, is_about: self.families.iter().map(|family| family.topic == 0).collect() }
    }
}

/// What a board is a mixture of.
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
