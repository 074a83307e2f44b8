//! Hand-written answers of each kind, with all parsed members.

use serde_json::{Value, json};

use super::engine::Kind;

/// Each kind of answer; pins with each shape of media.
pub fn all() -> Vec<(Kind, Value)> {
    let page = |item: Value| json!({ "items": [item], "bookmark": null });
    let mut answers = vec![
        (Kind::BoardPage, page(board())),
        (Kind::Board, board()),
        (Kind::SectionPage, page(json!({ "id": "5195034916661798218", "name": "Flowers" }))),
        (Kind::Account, account()),
        (Kind::Grant, grant()),
    ];
    for media in media() {
        answers.push((Kind::PinPage, page(pin(&media))));
        answers.push((Kind::Pin, pin(&media)));
    }
    answers
}

fn board() -> Value {
    json!({
        "id": "549755885175", "name": "Our barn", "description": "Beams and lights", "privacy": "SECRET",
        "owner": { "username": "anna" }, "created_at": "2021-06-08T09:37:30",
        "board_pins_modified_at": "2021-10-25T11:17:56.715000", "pin_count": 12, "follower_count": 0,
        "collaborator_count": 1, "is_ads_only": false,
        "media": { "image_cover_url": null, "pin_thumbnail_urls": ["https://i.pinimg.com/150x150/a.jpg"] },
    })
}

fn account() -> Value {
    json!({
        "id": "729653570893456", "username": "anna", "account_type": "BUSINESS", "business_name": "Anna's barns",
        "board_count": 3, "pin_count": 120, "monthly_views": null, "about": "",
    })
}

fn grant() -> Value {
    json!({
        "access_token": "an-access-token", "token_type": "bearer", "expires_in": 2_592_000,
        "refresh_token": "a-refresh-token", "refresh_token_expires_in": 5_184_000,
        "refresh_token_expires_at": 1_800_000_000, "scope": "boards:read pins:read",
        "response_type": "authorization_code",
    })
}

fn pin(media: &Value) -> Value {
    json!({
        "id": "813744226420795884", "created_at": "2024-03-17T18:04:09", "title": "Lights", "description": null,
        "link": "https://www.barns.example/lights", "alt_text": "Lights in a barn", "dominant_color": "#6E7874",
        "board_id": "549755885175", "board_section_id": "5195034916661798218", "board_owner": { "username": "anna" },
        "parent_pin_id": "813744226420795000", "creative_type": "APP", "is_owner": true, "is_standard": true,
        "has_been_promoted": false, "pin_metrics": { "lifetime_metrics": { "pin_click": 7 } }, "is_product": false,
        "ai_disclosures": { "values": ["AI_MODIFIED"] }, "product_tags": [{ "pin_id": "8137442264207" }],
        "media": media,
    })
}

fn media() -> Vec<Value> {
    let images = |name: &str| {
        let size = |size: &str| json!({ "url": format!("https://i.pinimg.com/{size}/{name}.jpg"), "width": 600, "height": null });
        json!({ "150x150": size("150x150"), "600x": size("600x"), "originals": size("originals") })
    };
    let cover = |name: &str| json!(format!("https://i.pinimg.com/videos/thumbnails/originals/{name}.jpg"));
    let image =
        json!({ "item_type": "image", "title": "One", "description": null, "link": null, "images": images("a") });
    let video =
        json!({ "item_type": "video", "cover_image_url": cover("b"), "duration": 8000, "height": 1280, "width": 720 });
    vec![
        json!({ "media_type": "image", "images": images("c") }),
        json!({ "media_type": "video", "cover_image_url": cover("d"), "duration": 15300, "images": images("e") }),
        json!({ "media_type": "multiple_images", "items": [image, image] }),
        json!({ "media_type": "multiple_videos", "items": [video, video] }),
        json!({ "media_type": "multiple_mixed", "items": [image, video] }),
        json!({ "media_type": "hologram", "items": [image], "images": images("f") }),
        Value::Null,
    ]
}
