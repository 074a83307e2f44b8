//! Pictures whose captions any trained CLIP recognises: plain colours, signs, flags, and scenes of the demo.

use crate::preprocess::{self, SIDE, Window};
use crate::{Embedding, Limits, Pixels};

/// Pictures among whose captions each one's own must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Squares of one colour.
    Colours,
    /// Things that are drawn the same way everywhere.
    Signs,
    /// Flags of countries.
    Flags,
    /// Scenes of the demo's local Pinterest.
    Scenes,
}

impl Group {
    /// All.
    pub const ALL: [Self; 4] = [Self::Colours, Self::Signs, Self::Flags, Self::Scenes];

    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Colours => "colours",
            Self::Signs => "signs",
            Self::Flags => "flags",
            Self::Scenes => "scenes",
        }
    }
}

/// A picture and its caption.
pub struct Picture {
    /// Where its caption has to be found.
    pub group: Group,
    /// What it shows.
    pub caption: &'static str,
    source: Source,
}

enum Source {
    /// The colour at a point; both coordinates run from -1 to 1, to the right and down.
    Drawn(fn(f32, f32) -> Colour),
    /// A JPEG.
    File(&'static [u8]),
}

impl Picture {
    /// The model's input.
    pub fn pixels(&self) -> Pixels {
        match self.source {
            Source::Drawn(colour) => draw(colour).normalise(),
            // A file goes the way of every image: decoded, resized and cropped.
            Source::File(bytes) => {
                preprocess::preprocess(bytes, &Limits::default()).expect("the scenes are part of the program")
            }
        }
    }
}

/// The number of pictures whose own caption must be the nearest of its group. By chance it is one in each group, 4 in all.
pub const ENOUGH_CAPTIONS: usize = 13;

/// All pictures.
pub fn pictures() -> Vec<Picture> {
    let drawn = |group, caption, colour| Picture { group, caption, source: Source::Drawn(colour) };
    let scene = |caption, bytes| Picture { group: Group::Scenes, caption, source: Source::File(bytes) };
    vec![
        drawn(Group::Colours, "a red square", |x, y| square(x, y, [220, 20, 20])),
        drawn(Group::Colours, "a green square", |x, y| square(x, y, [20, 150, 40])),
        drawn(Group::Colours, "a blue square", |x, y| square(x, y, [20, 50, 210])),
        drawn(Group::Colours, "a yellow square", |x, y| square(x, y, [250, 225, 30])),
        drawn(Group::Colours, "an orange square", |x, y| square(x, y, [250, 140, 10])),
        drawn(Group::Colours, "a purple square", |x, y| square(x, y, [120, 30, 160])),
        drawn(Group::Colours, "a pink square", |x, y| square(x, y, [255, 150, 190])),
        drawn(Group::Colours, "a black square", |x, y| square(x, y, [10, 10, 10])),
        drawn(Group::Signs, "a smiley face", smiley),
        drawn(Group::Signs, "a heart", heart),
        drawn(Group::Signs, "a star", star),
        drawn(Group::Signs, "a rainbow", rainbow),
        drawn(Group::Signs, "a chessboard", chessboard),
        drawn(Group::Signs, "a traffic light", traffic_light),
        drawn(Group::Flags, "the flag of Japan", |x, y| {
            flag(x, y, |x, y| if x.hypot(y) < 0.6 { [190, 0, 40] } else { WHITE })
        }),
        drawn(Group::Flags, "the flag of France", |x, y| {
            flag(x, y, |x, _| third(x, [[0, 38, 84], WHITE, [206, 17, 38]]))
        }),
        drawn(Group::Flags, "the flag of Germany", |x, y| {
            flag(x, y, |_, y| third(y / 0.667, [[0, 0, 0], [221, 0, 0], [255, 206, 0]]))
        }),
        drawn(Group::Flags, "the flag of Sweden", |x, y| {
            flag(x, y, |x, y| if (x + 0.3).abs() < 0.13 || y.abs() < 0.13 { [254, 204, 2] } else { [0, 106, 167] })
        }),
        scene("a red barn", include_bytes!("scenes/barn.jpg")),
        scene("a beach by the sea", include_bytes!("scenes/beach.jpg")),
        scene("a ballroom with chandeliers", include_bytes!("scenes/ballroom.jpg")),
        scene("a garden with a path", include_bytes!("scenes/garden.jpg")),
    ]
}

/// For each picture whether its caption is the nearest of its group. Both lists of embeddings are in the order of
/// `pictures`.
pub fn captions(pictures: &[Picture], images: &[Embedding], captions: &[Embedding]) -> Vec<bool> {
    let is_nearest = |index: usize| {
        let group = (0..pictures.len()).filter(|&other| pictures[other].group == pictures[index].group);
        let cosine = |caption: usize| images[index].cosine(&captions[caption]);
        group.max_by(|&left, &right| cosine(left).total_cmp(&cosine(right))) == Some(index)
    };
    (0..pictures.len()).map(is_nearest).collect()
}

type Colour = [u8; 3];

const WHITE: Colour = [255, 255, 255];

/// Points of a pixel, across and down, whose mean is its colour: soft edges, as in any picture.
const POINTS: usize = 3;

fn draw(colour: fn(f32, f32) -> Colour) -> Window {
    let place =
        |pixel: usize, point: usize| (pixel as f32 + (point as f32 + 0.5) / POINTS as f32) / (SIDE as f32 / 2.0) - 1.0;
    Window::draw(|row, column| {
        let mut sums = [0_u32; 3];
        for point in 0..POINTS * POINTS {
            let point = colour(place(column, point % POINTS), place(row, point / POINTS));
            sums.iter_mut().zip(point).for_each(|(sum, level)| *sum += u32::from(level));
        }
        sums.map(|sum| (sum / (POINTS * POINTS) as u32) as u8)
    })
}

fn square(x: f32, y: f32, colour: Colour) -> Colour {
    if x.abs().max(y.abs()) < 0.65 { colour } else { WHITE }
}

fn smiley(x: f32, y: f32) -> Colour {
    const INK: Colour = [40, 30, 10];
    let distance = x.hypot(y);
    let eye = ((x.abs() - 0.27) / 0.09).hypot((y + 0.25) / 0.16) < 1.0;
    let mouth = (distance - 0.5).abs() < 0.045 && y > 0.12;
    match distance {
        _ if eye || mouth => INK,
        ..0.8 => [255, 215, 40],
        ..0.86 => INK,
        _ => WHITE,
    }
}

/// The curve (x^2 + y^2 - 1)^3 = x^2 y^3, upright.
fn heart(x: f32, y: f32) -> Colour {
    let (x, y) = (1.55 * x, 0.15 - 1.55 * y);
    if (x * x + y * y - 1.0).powi(3) < x * x * y.powi(3) { [220, 20, 50] } else { WHITE }
}

/// Five points, one of them up: inside of at least four of the five lines on which its sides lie.
fn star(x: f32, y: f32) -> Colour {
    let inside = (0..5)
        .filter(|&line| {
            let angle = (line as f32 + 0.5) * std::f32::consts::TAU / 5.0;
            x * angle.sin() + y * angle.cos() < 0.29
        })
        .count();
    if inside >= 4 && x.hypot(y) < 0.95 { [245, 190, 20] } else { [25, 35, 90] }
}

fn rainbow(x: f32, y: f32) -> Colour {
    const SKY: Colour = [170, 215, 245];
    const BANDS: [Colour; 7] =
        [[220, 30, 30], [245, 130, 30], [250, 225, 40], [50, 170, 60], [40, 110, 210], [60, 50, 150], [130, 50, 160]];
    if y > 0.6 {
        return [110, 180, 80];
    }
    let band = ((0.95 - x.hypot(y - 0.6)) / 0.06).floor();
    if band >= 0.0 { BANDS.get(band as usize).copied().unwrap_or(SKY) } else { SKY }
}

fn chessboard(x: f32, y: f32) -> Colour {
    if x.abs().max(y.abs()) > 0.9 {
        return [90, 55, 30];
    }
    let field = |place: f32| ((place + 0.9) / 0.225) as u32;
    if (field(x) + field(y)).is_multiple_of(2) { [240, 217, 181] } else { [60, 40, 30] }
}

fn traffic_light(x: f32, y: f32) -> Colour {
    for (centre, colour) in [(-0.5, [235, 30, 30]), (0.0, [250, 200, 30]), (0.5, [40, 190, 80])] {
        if x.hypot(y - centre) < 0.19 {
            return colour;
        }
    }
    match (x.abs(), y.abs()) {
        (..0.3, ..0.8) => [35, 38, 40],
        (..0.06, _) if y > 0.0 => [90, 90, 90],
        _ => [175, 205, 230],
    }
}

/// A flag of three to two, whose `colour` gets a width from -1 to 1 and a height from -0.667 to 0.667, before grey.
fn flag(x: f32, y: f32, colour: fn(f32, f32) -> Colour) -> Colour {
    let (x, y) = (x / 0.9, y / 0.9);
    if x.abs() < 1.0 && y.abs() < 0.667 { colour(x, y) } else { [205, 208, 212] }
}

/// One of three stripes; `place` runs from -1 to 1.
fn third(place: f32, colours: [Colour; 3]) -> Colour {
    match place {
        ..-0.333 => colours[0],
        ..0.333 => colours[1],
        _ => colours[2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DIMENSION;

    #[test]
    fn pictures_differ() {
        let pictures = pictures();
        let inputs: Vec<Pixels> = pictures.iter().map(Picture::pixels).collect();
        for (index, input) in inputs.iter().enumerate() {
            assert!(inputs[..index].iter().all(|other| other != input), "{}", pictures[index].caption);
        }
        for group in Group::ALL {
            assert!(pictures.iter().filter(|picture| picture.group == group).count() >= 4, "{}", group.name());
        }
        let mut captions: Vec<_> = pictures.iter().map(|picture| picture.caption).collect();
        captions.sort_unstable();
        captions.dedup();
        assert_eq!(captions.len(), pictures.len());
    }

    #[test]
    fn a_caption_counts_within_its_group() {
        let pictures = pictures();
        let axis = |axis: usize| {
            let mut features = [0.0; DIMENSION];
            features[axis] = 1.0;
            Embedding::normalised(&features).unwrap()
        };
        let own: Vec<_> = (0..pictures.len()).map(axis).collect();
        assert!(captions(&pictures, &own, &own).iter().all(|&nearest| nearest));
        // All pictures alike, as by an untrained model: one is found in each group.
        let alike = vec![own[3].clone(); own.len()];
        let found = captions(&pictures, &alike, &own).iter().filter(|&&nearest| nearest).count();
        assert_eq!(found, Group::ALL.len());
        assert!(found * 2 < ENOUGH_CAPTIONS && ENOUGH_CAPTIONS < pictures.len());
    }
}
