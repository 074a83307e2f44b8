//! The CDN: sizes, formats, and faults of files.

use image::{GenericImageView as _, ImageFormat};
use sandbox::config::{BoardSpec, FormatMix, ImageRules, MediaMix};
use sandbox::faults::PictureFormat;
use sandbox::{Config, Family, Fault, Kind, Rule, Sandbox};
use serde_json::Value;

use crate::client::{Client, path_of};

fn start(formats: FormatMix) -> (Sandbox, Client) {
    let mut config = Config::with_board("Board", &[Family::Barn], 4);
    config.accounts[0].boards[0].formats = formats;
    let sandbox = Sandbox::start(config).expect("a sandbox");
    let client = Client::of(&sandbox, "example_user");
    (sandbox, client)
}

fn first_images(sandbox: &Sandbox, client: &Client) -> Value {
    let board = sandbox.board_id("Board").expect("a board");
    client.json(&format!("/v5/boards/{board}/pins"))["items"][0]["media"]["images"].clone()
}

/// The image at a URL; it must have the size of the answer.
fn fetch(sandbox: &Sandbox, client: &Client, image: &Value) -> image::DynamicImage {
    let reply = client.get(&path_of(sandbox, &image["url"]));
    assert_eq!(reply.status, 200);
    let picture = image::load_from_memory(&reply.body).expect("a picture");
    let told = (image["width"].as_u64().expect("a width"), image["height"].as_u64().expect("a height"));
    assert_eq!((u64::from(picture.width()), u64::from(picture.height())), told);
    picture
}

#[test]
fn every_format_has_every_size() {
    for (formats, format, extension) in [
        (FormatMix::jpeg_only(), ImageFormat::Jpeg, ".jpg"),
        (FormatMix { png: 100, webp: 0 }, ImageFormat::Png, ".png"),
        (FormatMix { png: 0, webp: 100 }, ImageFormat::WebP, ".webp"),
    ] {
        let (sandbox, client) = start(formats);
        let images = first_images(&sandbox, &client);
        for size in ["150x150", "400x300", "600x", "1200x"] {
            fetch(&sandbox, &client, &images[size]);
            let url = images[size]["url"].as_str().expect("an address");
            assert!(url.ends_with(extension), "{url}");
            let bytes = client.get(&path_of(&sandbox, &images[size]["url"])).body;
            assert_eq!(image::guess_format(&bytes).expect("a format"), format);
        }
    }
}

#[test]
fn the_600x_is_the_1200x_scaled_down() {
    let (sandbox, client) = start(FormatMix { png: 100, webp: 0 });
    let images = first_images(&sandbox, &client);
    let (large, small) = (fetch(&sandbox, &client, &images["1200x"]), fetch(&sandbox, &client, &images["600x"]));
    for (x, y) in [(0, 0), (17, 300), (599, 5), (300, 399)] {
        let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(right, down)| large.get_pixel(2 * x + right, 2 * y + down));
        for channel in 0..3 {
            let sum: u32 = four.iter().map(|pixel| u32::from(pixel.0[channel])).sum();
            assert_eq!(u32::from(small.get_pixel(x, y).0[channel]), (sum + 2) / 4, "{x},{y}");
        }
    }
}

#[test]
fn wrong_paths_are_denied_as_by_the_cdn() {
    let (sandbox, client) = start(FormatMix::jpeg_only());
    let path = path_of(&sandbox, &first_images(&sandbox, &client)["600x"]["url"]);
    let folders = format!("/600x/00/00/00/{}", path.rsplit('/').next().expect("a file"));
    for wrong in [
        path.replace(".jpg", ".png"),
        path.replace("600x", "601y"),
        path.replace("600x", "5000x"),
        path.replace(".jpg", "0.jpg"),
        folders,
        "/600x/0d/f6/f1/0df6f1f0bfe7aaca849c1bbc3607a34b.jpg".into(),
        "/videos/thumbnails/originals/0d/f6/f1/0df6f1f0bfe7aaca849c1bbc3607a34b.0000000.jpg".into(),
    ] {
        let reply = client.get(&wrong);
        assert_eq!((reply.status, reply.header("content-type")), (403, Some("application/xml")), "{wrong}");
        assert!(reply.text().contains("AccessDenied"));
    }
    for other in ["564x", "736x", "originals"] {
        assert_eq!(client.get(&path.replace("600x", other)).status, 200, "{other}");
    }
}

#[test]
fn a_redirect_leads_to_the_same_image() {
    let (sandbox, client) = start(FormatMix::jpeg_only());
    let path = path_of(&sandbox, &first_images(&sandbox, &client)["600x"]["url"]);
    sandbox.faults().add(Rule::on(Kind::Image, Fault::Redirect600xTo564x));
    let reply = client.get(&path);
    assert_eq!(reply.status, 301);
    let location = path_of(&sandbox, &reply.header("location").expect("a location").into());
    assert_eq!(location, path.replacen("600x", "564x", 1));
    let there = client.get(&location);
    assert_eq!(image::load_from_memory(&there.body).expect("a picture").width(), 564);
    assert_eq!(client.get(&path.replace("600x", "1200x")).status, 200);
}

#[test]
fn faults_of_files() {
    let (sandbox, client) = start(FormatMix::jpeg_only());
    let path = path_of(&sandbox, &first_images(&sandbox, &client)["600x"]["url"]);
    let whole = client.get(&path).body;
    let get = |fault| {
        sandbox.faults().add(Rule::on(Kind::Image, fault).once());
        client.get(&path)
    };
    let formats = [
        (PictureFormat::Jpeg, ImageFormat::Jpeg, 65_500),
        (PictureFormat::Png, ImageFormat::Png, 60_000),
        (PictureFormat::Webp, ImageFormat::WebP, 16_383),
    ];
    for (format, name, side) in formats {
        let bomb = get(Fault::ImageBomb { format }).body;
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        let reader = image::ImageReader::with_format(std::io::Cursor::new(&bomb), name);
        assert_eq!(reader.into_dimensions().expect("a header"), (side, side), "{name:?}");
        let other = get(Fault::OtherFormat { format });
        assert_eq!(other.header("content-type"), Some("image/jpeg"));
        assert_eq!(image::guess_format(&other.body).expect("a format"), name);
        assert_eq!(image::load_from_memory(&other.body).expect("a picture").width(), 600);
    }
    let corrupt = get(Fault::CorruptImage).body;
    assert!(corrupt.len() == whole.len() && corrupt != whole);
    assert_eq!(get(Fault::TruncatedBody).body, whole[..whole.len() / 2]);
    assert_eq!(image::guess_format(&get(Fault::Gif).body).expect("a format"), ImageFormat::Gif);
    assert_eq!(image::guess_format(&get(Fault::AnimatedGif).body).expect("a format"), ImageFormat::Gif);
    assert!(image::guess_format(&get(Fault::UnknownType).body).is_err());
    assert_eq!(get(Fault::Verbatim { text: "as told".into() }).body, b"as told");
    assert_eq!(get(Fault::CdnForbidden).status, 403);
    assert_eq!(client.get(&path).body, whole);
}

#[test]
fn videos_have_covers() {
    let mut config = Config::with_board("Board", &[Family::Beach], 1);
    let media = MediaMix { video: 100, ..MediaMix::images_only() };
    config.accounts[0].boards = vec![BoardSpec::new("Board", &[Family::Beach], 1).media(media)];
    let sandbox = Sandbox::start(config).expect("a sandbox");
    let client = Client::of(&sandbox, "example_user");
    let board = sandbox.board_id("Board").expect("a board");
    let media = client.json(&format!("/v5/boards/{board}/pins"))["items"][0]["media"].clone();
    let cover = client.get(&path_of(&sandbox, &media["cover_image_url"]));
    assert_eq!(image::load_from_memory(&cover.body).expect("a picture").dimensions(), (720, 1280));
    assert_eq!(sandbox.requests().count(Kind::VideoCover), 1);
    assert_eq!(sandbox.requests().pictures(), 1);
}

#[test]
fn a_pool_has_few_images_in_different_files() {
    let mut config = Config::with_board("Board", &[Family::Garden], 6);
    config.images = ImageRules { pool: Some(1), ..ImageRules::default() };
    let sandbox = Sandbox::start(config).expect("a sandbox");
    let client = Client::of(&sandbox, "example_user");
    let board = sandbox.board_id("Board").expect("a board");
    let pins = client.json(&format!("/v5/boards/{board}/pins"));
    let file = |pin: usize| client.get(&path_of(&sandbox, &pins["items"][pin]["media"]["images"]["1200x"]["url"])).body;
    let (one, two) = (file(0), file(1));
    assert_ne!(one, two);
    let pixels = |file: &[u8]| image::load_from_memory(file).expect("a picture").into_rgb8();
    assert_eq!(pixels(&one), pixels(&two));
    assert_eq!(pixels(&one).dimensions(), (1200, 1800));
}

#[test]
fn a_board_can_show_the_images_of_another() {
    let mut config = Config::with_board("Board", &[Family::Barn], 4);
    let twin = BoardSpec::new("Twin", &[Family::Garden], 3).media(MediaMix::images_only()).pictures_of("Board");
    config.accounts[0].boards.push(twin);
    let sandbox = Sandbox::start(config.clone()).expect("a sandbox");
    let client = Client::of(&sandbox, "example_user");
    let pictures = |name: &str| {
        let board = sandbox.board_id(name).expect("a board");
        let pins = client.json(&format!("/v5/boards/{board}/pins"));
        let pins = pins["items"].as_array().expect("pins").clone();
        pins.iter().map(|pin| pin["media"]["images"]["600x"]["url"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(pictures("Twin"), pictures("Board")[1..]);
    config.accounts[0].boards[1].pins = 5;
    assert!(Sandbox::start(config).is_err(), "there is no fifth picture");
}
