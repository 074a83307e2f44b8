use proptest::prelude::*;

use super::*;
use crate::model::Pin;
use crate::model::read_item;

fn images(media: &str) -> Result<Vec<PinImage>, NoImage> {
    read_item::<Pin>(format!(r#"{{"id": "1", "media": {media}}}"#).as_bytes()).expect("a pin").images()
}

fn sizes(image: &PinImage) -> Vec<&str> {
    image.candidates.iter().map(|candidate| candidate.size.as_str()).collect()
}

#[test]
fn an_image_has_one_ladder_with_crops_last() {
    let images = images(
        r#"{"media_type": "image", "images": {
            "150x150": {"url": "https://h/150", "width": 150, "height": 150},
            "400x300": {"url": "https://h/400"},
            "600x": {"url": "https://i.pinimg.com/600x/0d/f6/f1/0df6f1f0bfe7aaca849c1bbc3607a34b.jpg", "width": 600, "height": null},
            "1200x": {"url": "https://h/1200"}, "736x": {"url": "https://h/736"}, "1440x": {"url": "https://h/1440"},
            "originals": {"url": "https://h/o"}, "orig": {"url": "https://h/o"}, "600xx": null, "9x": {"url": 7}}}"#,
    )
    .unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(sizes(&images[0]), ["600x", "1200x", "originals", "1440x", "736x", "400x300", "150x150"]);
    assert_eq!(images[0].kind, PinImageKind::Image);
    assert_eq!(images[0].content_hash.as_deref(), Some("0df6f1f0bfe7aaca849c1bbc3607a34b"));
    assert_eq!((images[0].candidates[0].width, images[0].candidates[0].height), (Some(600), None));
    let cropped: Vec<_> = images[0].candidates.iter().map(|candidate| candidate.cropped).collect();
    assert_eq!(cropped, [false, false, false, false, false, true, true]);
}

#[test]
fn a_video_has_its_cover_before_the_crops() {
    let images = images(
        r#"{"media_type": "video", "cover_image_url": "https://h/cover", "duration": null, "video_url": null,
            "images": {"150x150": {"url": "https://h/150"}, "600x": {"url": "https://h/600"}}}"#,
    )
    .unwrap();
    assert_eq!(sizes(&images[0]), ["600x", "cover", "150x150"]);
    assert_eq!(images[0].kind, PinImageKind::VideoCover);
}

#[test]
fn a_carousel_has_one_image_per_part() {
    let images = images(
        r#"{"media_type": "multiple_images", "items": [
            {"item_type": "image", "images": {"600x": {"url": "https://h/0"}}},
            {"item_type": "image", "images": {}},
            17,
            {"item_type": "image", "images": {"1200x": {"url": "https://h/3"}}}]}"#,
    )
    .unwrap();
    let found: Vec<_> = images.iter().map(|image| (image.position, sizes(image))).collect();
    assert_eq!(found, [(0, vec!["600x"]), (1, vec![]), (2, vec![]), (3, vec!["1200x"])]);
}

#[test]
fn videos_and_mixed_carousels_are_read_by_their_members() {
    let videos = images(
        r#"{"media_type": "multiple_videos", "items": [{"item_type": "video", "cover_image_url": "https://h/c"}]}"#,
    );
    assert_eq!(videos.unwrap()[0].kind, PinImageKind::VideoCover);
    let mixed = images(
        r#"{"media_type": "multiple_mixed", "items": [
            {"images": {"1200x": {"url": "https://h/i"}}}, {"cover_image_url": "https://h/c"}]}"#,
    )
    .unwrap();
    assert_eq!(
        mixed.iter().map(|image| image.kind).collect::<Vec<_>>(),
        [PinImageKind::Image, PinImageKind::VideoCover]
    );
}

#[test]
fn top_level_images_count_if_the_parts_have_none() {
    let with_parts = r#"{"media_type": "multiple_images", "images": {"600x": {"url": "https://h/top"}},
        "items": [{"images": {"600x": {"url": "https://h/part"}}}]}"#;
    assert_eq!(images(with_parts).unwrap()[0].candidates[0].url, "https://h/part");
    let without = r#"{"media_type": "multiple_images", "images": {"600x": {"url": "https://h/top"}}, "items": [{}]}"#;
    assert_eq!(images(without).unwrap()[0].candidates[0].url, "https://h/top");
}

#[test]
fn images_of_an_unknown_type_are_found() {
    for media in [
        r#"{"media_type": "hologram", "images": {"600x": {"url": "https://h/x"}}}"#,
        r#"{"media_type": "hologram", "items": [{"cover_image_url": "https://h/x"}]}"#,
        r#"{"media_type": 5, "cover_image_url": "https://h/x"}"#,
        r#"{"images": {"600x": {"url": "https://h/x"}}, "items": "none"}"#,
    ] {
        assert_eq!(images(media).unwrap()[0].candidates[0].url, "https://h/x", "{media}");
    }
}

#[test]
fn no_image_has_a_reason() {
    let no_url = |media_type: &str| Err(NoImage::NoUrl { media_type: media_type.to_owned() });
    let unknown = |media_type: &str| Err(NoImage::UnknownMediaType { media_type: media_type.to_owned() });
    for (media, expected) in [
        ("null", Err(NoImage::NoMedia)),
        ("7", Err(NoImage::NoMedia)),
        (r#"{"media_type": "video"}"#, no_url("video")),
        (r#"{"media_type": "image", "images": {"600x": {"url": ""}}}"#, no_url("image")),
        (r#"{"media_type": "multiple_mixed", "items": []}"#, no_url("multiple_mixed")),
        (r#"{"media_type": "hologram"}"#, unknown("hologram")),
        ("{}", unknown("")),
    ] {
        assert_eq!(images(media), expected, "{media}");
    }
    assert_eq!(read_item::<Pin>(br#"{"id": "1"}"#).unwrap().images(), Err(NoImage::NoMedia));
}

proptest! {
    #[test]
    fn the_ladder_is_ordered_without_repeats_and_loses_no_url(
        entries in prop::collection::btree_map("(600x|1200x|originals|[0-9]{1,4}x|[0-9]{1,3}x[0-9]{1,3}|[a-z]{1,5})", "https://h/[a-d]", 0..12),
        cover in prop::option::of("https://h/[a-d]"),
    ) {
        let images = entries.iter().map(|(size, url)| (size.clone(), SizedImage { url: Some(url.clone()), ..Default::default() })).collect();
        let image = image_at(0, false, &images, cover.as_deref());
        let expected: HashSet<_> = entries.values().cloned().chain(cover).collect();
        let found: Vec<_> = image.candidates.iter().map(|candidate| candidate.url.clone()).collect();
        prop_assert_eq!(found.len(), expected.len());
        prop_assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);
        let ranks: Vec<_> = image.candidates.iter()
            .map(|candidate| if candidate.size == "cover" { Rank::Cover } else { Rank::of(&candidate.size) })
            .collect();
        prop_assert!(ranks.is_sorted(), "{:?}", ranks);
        let first_crop = image.candidates.iter().position(|candidate| candidate.cropped).unwrap_or(ranks.len());
        prop_assert!(image.candidates[first_crop..].iter().all(|candidate| candidate.cropped));
    }
}
