//! Pins, derived from the seed, the board and the pin's number.

use super::board::saved_at;
use super::identity::{PictureKey, PinKey};
use super::{World, text, timestamp};
use crate::config::{MediaMix, Surprises};
use crate::random::{Random, mix};
use crate::scene::Family;

/// The derived data of a pin.
#[derive(Debug)]
pub(crate) struct Pin {
    pub(crate) key: PinKey,
    pub(crate) variant: Variant,
    pub(crate) created_at: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) alt_text: Option<String>,
    pub(crate) dominant_color: String,
    pub(crate) is_saved_from_elsewhere: bool,
}

/// The shape of a pin's `media`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    Image,
    Video,
    /// With the number of items.
    MultipleImages(u16),
    MultipleVideos(u16),
    MultipleMixed(u16),
    Absent,
    UnknownMedia,
}

impl Pin {
    pub(crate) fn derive(world: &World, key: PinKey, surprises: &Surprises) -> Self {
        let spec = &world.home(key).spec;
        let mut random = Random::new(mix(&[world.seed, 20, u64::from(key.board), key.serial]));
        let family = family(world, key);
        let fraction =
            hit(world.seed, salt::FRACTION, key, surprises.fractional_seconds).then(|| random.integer(0, 999) * 1000);
        Self {
            key,
            variant: variant(world.seed, key, &spec.media, &mut random),
            created_at: timestamp(saved_at(key.serial), fraction),
            title: text::title(&mut random, family),
            description: text::description(&mut random, family),
            link: text::link(&mut random, family),
            alt_text: text::alt_text(&mut random, family),
            dominant_color: dominant_color(&mut random, family),
            is_saved_from_elsewhere: random.chance(0.6),
        }
    }

    /// The image of an item of this pin: its own, that of an earlier pin, or that of another board's pin.
    pub(crate) fn picture(&self, world: &World, surprises: &Surprises, item: u16) -> PictureKey {
        let own = world.shown_by(self.key);
        let repeats = item == 0
            && self.variant == Variant::Image
            && hit(world.seed, salt::REPEATED, own, surprises.repeated_pictures);
        let earlier = PinKey { serial: own.serial / 2, ..own };
        PictureKey { pin: if repeats { earlier } else { own }, item }
    }
}

pub(super) fn family(world: &World, key: PinKey) -> Family {
    let families = &world.home(key).spec.families;
    // In rounds, each with a random start, so that the shares are exact on small boards too.
    let round = key.serial / families.len() as u64;
    let start = mix(&[world.seed, 21, u64::from(key.board), round]);
    families[(key.serial.wrapping_add(start) % families.len() as u64) as usize]
}

fn variant(seed: u64, key: PinKey, mix: &MediaMix, random: &mut Random) -> Variant {
    let items = random.integer(2, 5) as u16;
    let choices = [
        (mix.video, Variant::Video),
        (mix.multiple_images, Variant::MultipleImages(items)),
        (mix.multiple_videos, Variant::MultipleVideos(items.min(3))),
        (mix.multiple_mixed, Variant::MultipleMixed(items)),
        (mix.without_media, Variant::Absent),
        (mix.unknown_media, Variant::UnknownMedia),
    ];
    let mut place = slot(seed, salt::MEDIA, key);
    for (share, variant) in choices {
        match place.checked_sub(share) {
            None => return variant,
            Some(rest) => place = rest,
        }
    }
    Variant::Image
}

fn dominant_color(random: &mut Random, family: Family) -> String {
    let [red, green, blue] = family.tint().map(|channel| {
        let moved = f32::from(channel) + random.range(-18.0, 18.0);
        moved.clamp(0.0, 255.0) as u8
    });
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Salts of [`hit`], one for each property of a share of the pins. Each is also the stride through the hundred slots, so
/// it must be coprime to 100.
pub(crate) mod salt {
    pub(crate) const MEDIA: u64 = 37;
    pub(crate) const FORMAT: u64 = 61;
    pub(crate) const FRACTION: u64 = 43;
    pub(crate) const REPEATED: u64 = 67;
    pub(crate) const UNKNOWN_FIELDS: u64 = 29;
    pub(crate) const UNKNOWN_CREATIVE_TYPE: u64 = 71;
    pub(crate) const TILE: u64 = 53;
    pub(crate) const NULL_SIZE: u64 = 47;
    pub(crate) const AI_DISCLOSED: u64 = 73;
    pub(crate) const PRODUCT: u64 = 79;
}

/// Whether this pin belongs to the given percentage, which is exact for any hundred consecutive pins.
pub(crate) fn hit(seed: u64, salt: u64, key: PinKey, percent: u8) -> bool {
    slot(seed, salt, key) < percent
}

/// A number in 0..100. A hundred consecutive pins have each number once.
pub(crate) fn slot(seed: u64, salt: u64, key: PinKey) -> u8 {
    let start = mix(&[seed, salt, u64::from(key.board)]) % 100;
    ((key.serial % 100 * salt + start) % 100) as u8
}
