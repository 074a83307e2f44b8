//! The `media` of a pin: five variants, absent media, and an unknown variant.

use serde_json::{Map, Value, json};

use super::Context;
use crate::cdn::Size;
use crate::world::{Picture, PictureKey, Pin, Variant, hit, salt};

/// Sizes of every image.
const SIZES: [&str; 4] = ["150x150", "400x300", "600x", "1200x"];

pub(super) fn json_of(context: &Context<'_>, pin: &Pin) -> Option<Value> {
    Some(match pin.variant {
        Variant::Absent => return None,
        Variant::Image => json!({ "media_type": "image", "images": images(context, pin, 0) }),
        Variant::Video => {
            let mut media = video(context, pin, 0);
            media["media_type"] = json!("video");
            media["images"] = images(context, pin, 1);
            media
        }
        Variant::MultipleImages(count) => json!({
            "media_type": "multiple_images",
            "items": (0..count).map(|item| image_item(context, pin, item)).collect::<Vec<_>>(),
        }),
        Variant::MultipleVideos(count) => json!({
            "media_type": "multiple_videos",
            "items": (0..count).map(|item| video_item(context, pin, item)).collect::<Vec<_>>(),
        }),
        Variant::MultipleMixed(count) => {
            // The last item is a video.
            let images = (0..count - 1).map(|item| image_item(context, pin, item));
            let items: Vec<Value> = images.chain([video_item(context, pin, count - 1)]).collect();
            json!({ "media_type": "multiple_mixed", "items": items })
        }
        Variant::UnknownMedia => json!({
            "media_type": "hologram",
            "depth": 3,
            "items": [image_item(context, pin, 0)],
        }),
    })
}

/// The URL of an image in one of [`SIZES`].
pub(super) fn picture_url(context: &Context<'_>, key: PictureKey, size: &str) -> String {
    let picture = Picture::derive(context.world, key, &context.state.config().images);
    url(context, key, size, picture.format.extension())
}

fn url(context: &Context<'_>, key: PictureKey, size: &str, extension: &str) -> String {
    let hash = context.world.identities.picture_hash(key);
    let (a, b, c) = (&hash[0..2], &hash[2..4], &hash[4..6]);
    format!("https://{}/{size}/{a}/{b}/{c}/{hash}.{extension}", context.call.host)
}

/// The map from size to image.
fn images(context: &Context<'_>, pin: &Pin, item: u16) -> Value {
    let config = context.state.config();
    let key = pin.picture(context.world, &config.surprises, item);
    let picture = Picture::derive(context.world, key, &config.images);
    let hides_size = hit(context.world.seed, salt::NULL_SIZE, pin.key, config.surprises.null_sizes);
    let originals = config.images.name_originals.then_some("originals");
    let mut map = Map::new();
    for name in SIZES.into_iter().chain(originals) {
        let Some(size) = Size::parse(name) else { unreachable!("this is a bug: {name} is a size we serve") };
        let (width, height) = size.of(picture);
        let (width, height) = match hides_size {
            true => (Value::Null, Value::Null),
            false => (json!(width), json!(height)),
        };
        let url = url(context, key, name, picture.format.extension());
        map.insert(name.into(), json!({ "width": width, "height": height, "url": url }));
    }
    map.into()
}

fn image_item(context: &Context<'_>, pin: &Pin, item: u16) -> Value {
    json!({
        "item_type": "image",
        "title": (item == 0).then_some("Front"),
        "description": null,
        "link": pin.link,
        "images": images(context, pin, item),
    })
}

fn video_item(context: &Context<'_>, pin: &Pin, item: u16) -> Value {
    let mut media = video(context, pin, item);
    media["item_type"] = json!("video");
    media
}

fn video(context: &Context<'_>, pin: &Pin, item: u16) -> Value {
    let key = PictureKey { pin: pin.key, item };
    let hash = context.world.identities.picture_hash(key);
    let (a, b, c) = (&hash[0..2], &hash[2..4], &hash[4..6]);
    let host = context.call.host;
    // Every fourth video is still being processed, its size and duration are not known yet.
    let is_ready = !pin.key.serial.is_multiple_of(4);
    json!({
        "cover_image_url": format!("https://{host}/videos/thumbnails/originals/{a}/{b}/{c}/{hash}.0000000.jpg"),
        "duration": is_ready.then_some(8000 + 500 * (pin.key.serial % 40)),
        "width": is_ready.then_some(1080),
        "height": is_ready.then_some(1920),
        "video_url": null,
    })
}
