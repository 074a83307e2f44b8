//! Random worlds and faults.

use fastrand::Rng;
use sandbox::config::{ImageRules, Surprises};
use sandbox::faults::PictureFormat;

use crate::support::oauth::USER;
use crate::support::prelude::*;

/// The boards of [`any_world`]; the last one shows images of the second.
pub const BOARDS: [&str; 3] = ["Plain", "Mixed", "Twin"];

/// A Pinterest with all kinds of unusual pins.
pub fn any_world(random: &mut Rng) -> Config {
    let mut share = |most: u8| random.u8(0..=most);
    let media = MediaMix {
        video: share(15),
        multiple_images: share(15),
        multiple_videos: share(15),
        multiple_mixed: share(15),
        without_media: share(15),
        unknown_media: share(15),
    };
    let surprises = Surprises {
        unknown_fields: share(50),
        unknown_creative_type: share(50),
        tiles_without_id: share(50),
        null_sizes: share(50),
        fractional_seconds: share(50),
        repeated_pictures: share(50),
        ai_disclosed: share(50),
        products: share(50),
    };
    let families = [Family::Beach, Family::Barn];
    let account = AccountSpec::new(USER)
        .board(BoardSpec::new("Plain", &families, random.u64(5..30)).media(MediaMix::images_only()))
        .board(BoardSpec::new("Mixed", &families, 25).media(media).sections(&["One", "Two"]))
        .board(BoardSpec::new("Twin", &families, random.u64(5..25)).pictures_of("Mixed").sections(&["One"]));
    Config {
        seed: random.u64(..),
        accounts: vec![account],
        surprises,
        images: ImageRules { pool: Some(1), ..ImageRules::default() },
        // Several pages of each board.
        faults: vec![Rule::on(Kind::BoardPins, Fault::ShortPage { items: random.u64(3..9) })],
        ..Config::demo()
    }
}

/// A fault for a few requests.
pub fn mishap(random: &mut Rng) -> Rule {
    let resets = || Fault::ResetBeforeHeaders;
    let listing = [
        Fault::SomethingWentWrong,
        Fault::ServerError { status: 503 },
        Fault::Html502,
        Fault::TruncatedBody,
        Fault::DuplicateItems,
        Fault::InvalidParameter,
        Fault::EmptyPageWithBookmark,
        Fault::RepeatedBookmark,
        Fault::ListingWall,
        Fault::RateLimited { retry_after: Some("1".into()), reset: None },
        resets(),
    ];
    let pictures = [
        Fault::CdnForbidden,
        Fault::ServerError { status: 500 },
        Fault::TruncatedBody,
        Fault::Gif,
        Fault::UnknownType,
        Fault::ImageBomb { format: PictureFormat::Webp },
        Fault::OtherFormat { format: PictureFormat::Png },
        Fault::CorruptImage,
        Fault::WrongContentLength { difference: 10 },
        resets(),
    ];
    let (kind, faults) = match random.u8(0..6) {
        0 => (Kind::Board, [Fault::ServerError { status: 500 }, resets(), Fault::Forbidden].to_vec()),
        1 => (Kind::Sections, [Fault::Conflict, Fault::ServerError { status: 502 }].to_vec()),
        2 | 3 => (Kind::BoardPins, listing.to_vec()),
        _ => (Kind::Image, pictures.to_vec()),
    };
    let fault = faults[random.usize(..faults.len())].clone();
    Rule::on(kind, fault).probability(0.4).times(random.u64(1..8))
}
