//! What large pictures cost: memory that is known before, and no other picture's time.

#[allow(dead_code, reason = "each test program uses its part")]
#[path = "../../../tests/fixtures/draw.rs"]
mod draw;
mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use draw::{Scene, jpeg, lossless};
use embedder::{Animations, Client, ErrorKind};
use image::ImageFormat;
use support::{Supervisor, picture};

const MIB: u64 = 1 << 20;

async fn connect(server: &Supervisor) -> Client {
    let client = Client::connect(&server.socket()).await.unwrap();
    // What any picture takes is taken.
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
    client
}

/// The most memory that the server has had, in bytes.
fn peak(server: &Supervisor) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// 48 megapixels, as telephones and cameras have them.
fn photographs() -> &'static [(&'static str, Vec<u8>, u64); 4] {
    static PHOTOGRAPHS: LazyLock<[(&str, Vec<u8>, u64); 4]> = LazyLock::new(|| {
        // Grain as no lossless file of this size may have.
        let (photograph, print) = (Scene::Photograph.draw(8000, 6000), Scene::Text.draw(8000, 6000));
        [
            ("JPEG", jpeg(&photograph, false), 24 * MIB),
            ("PNG", lossless(&print, ImageFormat::Png), 24 * MIB),
            // Three bytes a pixel.
            ("progressive JPEG", jpeg(&photograph, true), 170 * MIB),
            // Eleven bytes a pixel.
            ("WebP", lossless(&print, ImageFormat::WebP), 560 * MIB),
        ]
    });
    &PHOTOGRAPHS
}

#[tokio::test]
async fn memory_is_that_of_rows_where_rows_come_and_what_headers_tell_elsewhere() {
    let limits = clip::Limits::default();
    for (kind, bytes, most) in photographs() {
        let server = Supervisor::start(&[]);
        let client = connect(&server).await;
        let before = peak(&server);
        let (size, measured) = (bytes.len() as u64, clip::measure(bytes, &limits).unwrap().memory);
        client.embed_image(bytes.clone(), Animations::FirstFrame).await.unwrap();
        // The received bytes stand beside it.
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

/// Four at a time need the memory of one, and each waits for its turn.
#[tokio::test]
async fn pictures_share_one_budget() {
    let [.., (_, progressive, _), (_, webp, _)] = photographs();
    // A quarter of it is less than two of them need.
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
async fn what_needs_more_than_the_budget_is_refused_by_its_header() {
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
