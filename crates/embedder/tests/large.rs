//! Large images take no more memory than measured, and do not delay others.

#[allow(dead_code, reason = "each test program uses its part")]
#[path = "../../../tests/fixtures/draw.rs"]
mod draw;
mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use draw::{Scene, jpeg, lossless};
use embedder::{Animations, Client, ErrorKind, Input};
use image::ImageFormat;
use support::{Supervisor, picture};

const MIB: u64 = 1 << 20;

async fn connect(server: &Supervisor) -> Client {
    let client = Client::connect(&server.socket()).await.unwrap();
    // After the memory that any image takes is allocated.
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
    client
}

/// Peak memory of the server, in bytes.
fn peak(server: &Supervisor) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// 48 megapixels, as from phones and cameras.
fn photographs() -> &'static [(&'static str, Vec<u8>, u64); 4] {
    static PHOTOGRAPHS: LazyLock<[(&str, Vec<u8>, u64); 4]> = LazyLock::new(|| {
        // Grain, which a lossless file of this size cannot have.
        let (photograph, print) = (Scene::Photograph.draw(8000, 6000), Scene::Text.draw(8000, 6000));
        [
            ("JPEG", jpeg(&photograph, false), 26 * MIB),
            ("PNG", lossless(&print, ImageFormat::Png), 26 * MIB),
            // Three bytes per pixel.
            ("progressive JPEG", jpeg(&photograph, true), 172 * MIB),
            // Eleven bytes per pixel.
            ("WebP", lossless(&print, ImageFormat::WebP), 562 * MIB),
        ]
    });
    &PHOTOGRAPHS
}

#[tokio::test]
async fn memory_stays_within_the_measured_bound() {
    let limits = clip::Limits::default();
    for (kind, bytes, most) in photographs() {
        let server = Supervisor::start(&[]);
        let client = connect(&server).await;
        let before = peak(&server);
        let (size, measured) = (bytes.len() as u64, clip::measure(bytes, &limits).unwrap().memory);
        let input = Input::ImageWithThumbnail(bytes.clone().into(), Animations::FirstFrame);
        client.embed(input, Duration::ZERO).await.unwrap();
        // In addition to the received bytes.
        let taken = peak(&server).saturating_sub(before + size);
        println!(
            "{kind}: {} MiB taken, {} MiB from its headers, {} MiB encoded",
            taken / MIB,
            measured / MIB,
            size / MIB
        );
        assert!(taken <= measured && measured <= *most, "{kind}: {taken}, {measured} from its headers, at most {most}");
    }
}

/// Four at a time take the memory of one, since they wait for each other.
#[tokio::test]
async fn pictures_share_one_budget() {
    let [.., (_, progressive, _), (_, webp, _)] = photographs();
    // A quarter of it is less than two of them take.
    let server = Supervisor::start(&["--memory-limit", &(2400 * MIB).to_string()]);
    let client = connect(&server).await;
    let before = peak(&server);
    let received = 2 * (progressive.len() + webp.len()) as u64;
    let answers = tokio::join!(
        client.embed_image(webp.clone(), Animations::FirstFrame),
        client.embed_image(webp.clone(), Animations::FirstFrame),
        client.embed_image(progressive.clone(), Animations::FirstFrame),
        client.embed_image(progressive.clone(), Animations::FirstFrame),
    );
    for answer in <[_; 4]>::from(answers) {
        answer.unwrap();
    }
    let taken = peak(&server) - before - received;
    assert!(taken < 560 * MIB, "{} MiB", taken / MIB);
}

#[tokio::test]
async fn a_picture_over_the_memory_budget_is_refused_by_its_header() {
    let [.., (_, webp, _)] = photographs();
    let server = Supervisor::start(&["--memory-limit", &(1400 * MIB).to_string()]);
    let client = connect(&server).await;
    let before = peak(&server);
    let received = webp.len() as u64;
    let error = client.embed_image(webp.clone(), Animations::FirstFrame).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooMuchMemory, "{error}");
    assert!(error.to_string().ends_with(&format!("more than the limit of {}", 350 * MIB)), "{error}");
    assert!(peak(&server) - before <= received + 8 * MIB);
    client.embed_image(picture(1), Animations::FirstFrame).await.unwrap();
}

/// While large ones are decoded, a small one of another client is answered.
#[tokio::test]
async fn small_pictures_do_not_wait_for_large_ones() {
    let [_, _, (_, progressive, _), _] = photographs();
    let server = Supervisor::start(&[]);
    let (album, snapshot) = (connect(&server).await, connect(&server).await);
    let mut large = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (album, progressive) = (album.clone(), progressive.clone());
        large
            .spawn(async move { album.embed_image(progressive, Animations::FirstFrame).await.map(|_| Instant::now()) });
    }
    while album.info().await.unwrap().statistics.images_waiting < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for number in 0..4 {
        snapshot.embed_image(picture(number), Animations::FirstFrame).await.unwrap();
    }
    let answered = Instant::now();
    let ends: Vec<_> = large.join_all().await.into_iter().map(Result::unwrap).collect();
    let after = ends.iter().filter(|&&end| end > answered).count();
    assert!(after >= 3, "only {after} of 4 large pictures were still waiting");
}
