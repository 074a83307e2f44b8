//! Tests of the server through its clients.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use embedder::protocol::{FrameKind, HEADER_BYTES, Header, MAX_IMAGE_BYTES, Request, Response};
use embedder::{
    Animations, Client, Embedded, Error, ErrorKind, Input, MAX_THUMBNAIL_BYTES, MOST_THUMBNAIL_SIDE, ModelState,
    Statistics, THUMBNAIL_SIDE,
};
use proptest::prelude::*;
use rustix::process::Signal;
use support::{Supervisor, cosine, large_picture, picture, program};

async fn connect(server: &Supervisor) -> Client {
    Client::connect(&server.socket()).await.unwrap()
}

/// Sends all at once; returns the answers in the order of the images.
async fn embed_together(client: &Client, pictures: Vec<Vec<u8>>) -> Vec<Result<Embedded, Error>> {
    let mut tasks = tokio::task::JoinSet::new();
    for (number, picture) in pictures.into_iter().enumerate() {
        let client = client.clone();
        tasks.spawn(async move { (number, client.embed_image(picture, Animations::FirstFrame).await) });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn a_batch_equals_its_parts() {
    let server = Supervisor::start(&[]);
    let client = connect(&server).await;
    let pictures: Vec<_> = (0..16).map(picture).collect();
    let together = embed_together(&client, pictures.clone()).await;
    let mut alone = Vec::new();
    for picture in pictures {
        alone.push(client.embed_image(picture, Animations::FirstFrame).await.unwrap());
    }
    for (number, together) in together.into_iter().enumerate() {
        let together = together.unwrap();
        let same = cosine(&*together.vector, &*alone[number].vector);
        assert!(same > 0.999_999, "{number}: {same}");
        let next = cosine(&*together.vector, &*alone[(number + 1) % 16].vector);
        assert!(next < 0.999_9, "{number}: {next}");
    }
}

/// One image of every format is decoded in the sandbox.
#[tokio::test]
async fn the_first_frame_of_an_animation_is_embedded_or_refused() {
    let container = |name: &str| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/containers");
        std::fs::read(directory.join(name)).unwrap()
    };
    let server = Supervisor::start(&[]);
    let client = connect(&server).await;
    for (still, animation) in [("plain.gif", "frames.gif"), ("plain.png", "frames.png"), ("plain.webp", "frames.webp")]
    {
        let alone = client.embed_image(container(still), Animations::Refuse).await.unwrap();
        let first = client.embed_image(container(animation), Animations::FirstFrame).await.unwrap();
        assert_eq!((alone.animated, first.animated), (false, true), "{animation}");
        assert_eq!(alone.vector, first.vector, "{animation}");
        let refused = client.embed_image(container(animation), Animations::Refuse).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Animated, "{animation}: {refused}");
    }
}

/// The same bytes from each request, and the same embedding as without a thumbnail.
#[tokio::test]
async fn thumbnails_are_made_beside_embeddings_and_alone() {
    let fixture = |name: &str| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        std::fs::read(directory.join(name)).unwrap()
    };
    let server = Supervisor::start(&[]);
    let client = connect(&server).await;
    for name in ["pictures/landscape.jpg", "pictures/alpha.webp", "pictures/exif-6.jpg", "containers/frames.gif"] {
        let file = fixture(name);
        let alone = client.embed_image(file.clone(), Animations::FirstFrame).await.unwrap();
        assert_eq!(alone.thumbnail, None);
        let input = Input::ImageWithThumbnail(file.clone().into(), Animations::FirstFrame);
        let both = client.embed(input, Duration::ZERO).await.unwrap();
        assert_eq!((&both.vector, both.animated), (&alone.vector, alone.animated), "{name}");
        let thumbnail = both.thumbnail.unwrap();
        assert!(thumbnail.starts_with(&[0xff, 0xd8, 0xff]) && thumbnail.len() <= MAX_THUMBNAIL_BYTES, "{name}");
        assert_eq!(client.thumbnail(file.clone(), THUMBNAIL_SIDE, Duration::ZERO).await.unwrap(), thumbnail, "{name}");
        let largest = client.thumbnail(file.clone(), MOST_THUMBNAIL_SIDE, Duration::ZERO).await.unwrap();
        assert_eq!(client.thumbnail(file.clone(), u16::MAX, Duration::ZERO).await.unwrap(), largest, "{name}");
        // An image is never enlarged.
        assert!(client.thumbnail(file, 40, Duration::ZERO).await.unwrap().len() <= thumbnail.len(), "{name}");
    }
    let refused = client.thumbnail(b"no image".to_vec(), 400, Duration::ZERO).await.unwrap_err();
    assert!(refused.is_input(), "{refused}");
    let refused = client
        .embed(Input::ImageWithThumbnail(fixture("containers/frames.gif").into(), Animations::Refuse), Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Animated);
}

#[tokio::test]
async fn texts_are_answered_beside_pictures() {
    let server = Supervisor::start(&[]);
    let client = connect(&server).await;
    let (pictures, barn, beach) = tokio::join!(
        embed_together(&client, (0..16).map(picture).collect()),
        client.embed_text("a barn with string lights"),
        client.embed_text("a beach at dusk"),
    );
    let (barn, beach) = (barn.unwrap(), beach.unwrap());
    assert!(cosine(&*barn.vector, &*beach.vector) < 0.999_9);
    for picture in pictures {
        assert_eq!(picture.unwrap().model, barn.model);
    }
    let again = client.embed_text("a barn with string lights").await.unwrap();
    assert!(cosine(&*again.vector, &*barn.vector) > 0.999_999);
}

#[tokio::test]
async fn a_bad_picture_fails_alone() {
    let server = Supervisor::start(&[]);
    let client = connect(&server).await;
    let mut cut_off = picture(1);
    cut_off.truncate(cut_off.len() / 2);
    let pictures = vec![picture(0), b"<html>404</html>".to_vec(), cut_off, Vec::new(), picture(2)];
    let kinds: Vec<_> = embed_together(&client, pictures)
        .await
        .into_iter()
        .map(|answer| answer.err().map(|error| error.kind()))
        .collect();
    assert_eq!(
        kinds,
        [
            None,
            Some(ErrorKind::UnsupportedFormat),
            Some(ErrorKind::Malformed),
            Some(ErrorKind::UnsupportedFormat),
            None
        ]
    );
    assert_eq!(client.embed_text(" \n").await.unwrap_err().kind(), ErrorKind::EmptyText);
    assert_eq!(client.embed_text("x".repeat(100_000)).await.unwrap_err().kind(), ErrorKind::TextTooLong);
    let long = client.embed_text("x ".repeat(20_000)).await.unwrap();
    assert_eq!(long.vector, client.embed_text("x ".repeat(100)).await.unwrap().vector);
    assert_eq!(server.log(), "");
}

#[tokio::test]
async fn info_describes_the_server() {
    let server = Supervisor::start(&["--precision", "f32", "--kernels", "candle"]);
    let client = connect(&server).await;
    let embedded = client.embed_text("x").await.unwrap();
    let info = client.info().await.unwrap();
    assert_eq!(info.pid, server.pid());
    assert_eq!(info.threads, 1);
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    let ModelState::Ready(model) = info.model else { panic!("{info:?}") };
    assert_eq!(model.fingerprint, embedded.model);
    assert_eq!((model.dimension, &*model.precision, &*model.kernels), (512, "f32", "candle"));
    assert_eq!(model.notice.as_deref(), Some(embedder::Model::UNTRAINED));
}

async fn statistics(client: &Client) -> Statistics {
    client.info().await.unwrap().statistics
}

/// Starts three clients with as many images in flight as allowed. Returns when most of them wait, which is about a second's work.
async fn busy_with_pictures() -> (Supervisor, tokio::task::JoinSet<Vec<Result<Embedded, Error>>>) {
    let server = Supervisor::start(&["--max-pass-time", "1"]);
    let picture = large_picture();
    let mut imports = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let client = connect(&server).await;
        let pictures = vec![picture.clone(); 64];
        imports.spawn(async move { embed_together(&client, pictures).await });
    }
    let client = connect(&server).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while statistics(&client).await.images_waiting < 150 {
        assert!(Instant::now() < deadline, "{:?}", statistics(&client).await);
        tokio::task::yield_now().await;
    }
    (server, imports)
}

async fn all_answered(imports: tokio::task::JoinSet<Vec<Result<Embedded, Error>>>) {
    let answers: Vec<_> = imports.join_all().await.into_iter().flatten().collect();
    assert_eq!(answers.len(), 3 * 64);
    for answer in answers {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_text_overtakes_the_pictures_of_other_clients() {
    let (server, imports) = busy_with_pictures().await;
    let client = connect(&server).await;
    for number in 0..3 {
        client.embed_text(format!("barn number {number}")).await.unwrap();
    }
    let after = statistics(&client).await;
    assert!(after.images_waiting >= 50, "{after:?}");
    all_answered(imports).await;
}

#[tokio::test]
async fn a_picture_waits_for_at_most_one_of_each_other_client() {
    let (server, imports) = busy_with_pictures().await;
    let client = connect(&server).await;
    for number in 0..3 {
        client.embed_image(picture(100 + number), Animations::FirstFrame).await.unwrap();
    }
    let after = statistics(&client).await;
    assert!(after.images_waiting >= 50, "{after:?}");
    all_answered(imports).await;
}

#[tokio::test]
async fn pictures_do_not_wait_for_the_end_of_a_stream_of_texts() {
    let server = Supervisor::start(&[]);
    let client = connect(&server).await;
    // Aborted with the set. Several, so that one waits whenever the model is free.
    let mut responders = tokio::task::JoinSet::new();
    for responder in 0..8 {
        let client = connect(&server).await;
        responders.spawn(async move {
            for number in 0.. {
                client.embed_text(format!("barn {number} of {responder}")).await.unwrap();
            }
        });
    }
    while statistics(&client).await.texts < 8 {
        tokio::task::yield_now().await;
    }
    for answer in embed_together(&client, (0..32).map(picture).collect()).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_repeated_text_gets_the_same_answer_without_the_model() {
    let server = Supervisor::start(&[]);
    let client = connect(&server).await;
    let first = client.embed_text("a barn with string lights").await.unwrap();
    let other = connect(&server).await;
    let again = other.embed_text("a barn with string lights").await.unwrap();
    assert!(first == again);
    client.embed_text("A barn with string lights").await.unwrap();
    let Statistics { texts, text_passes, texts_remembered, .. } = statistics(&client).await;
    assert_eq!((texts, text_passes, texts_remembered), (2, 2, 1));
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_and_may_be_repeated() {
    let server = Supervisor::start(&["--max-queue", "1"]);
    let client = connect(&server).await;
    client.embed_text("the model is loaded").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let client = client.clone();
        tasks.spawn(async move { client.embed_text(format!("barn number {number}")).await });
    }
    let (answered, refused): (Vec<_>, Vec<_>) = tasks.join_all().await.into_iter().partition(Result::is_ok);
    assert!(!answered.is_empty() && !refused.is_empty(), "{} answered, {} refused", answered.len(), refused.len());
    for refusal in refused {
        let error = refusal.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.is_retryable());
        assert_eq!(error.to_string(), "embedder queue is full: 1 texts are waiting, the limit is 1");
    }
    client.embed_text("barn number 0").await.unwrap();
}

#[tokio::test]
async fn killed_with_a_request_in_flight() {
    let mut server = Supervisor::start(&[]);
    let client = connect(&server).await;
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();

    // Stopped first, so that it cannot answer in time.
    server.signal(Signal::STOP);
    let kill = async {
        tokio::task::yield_now().await;
        server.signal(Signal::KILL);
    };
    let (answer, ()) = tokio::join!(client.embed_image(picture(1), Animations::FirstFrame), kill);
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Died);

    server.wait();
    server.restart();
    client.embed_image(picture(1), Animations::FirstFrame).await.unwrap();
}

#[tokio::test]
async fn ends_when_idle_and_its_successor_gets_the_next_request() {
    let mut server = Supervisor::start(&["--idle-timeout", "1"]);
    let client = connect(&server).await;
    let before = client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
    assert_eq!(server.wait().code(), Some(0));

    // Without a server, the request waits in the socket's queue until one starts.
    let request = client.embed_image(picture(0), Animations::FirstFrame);
    let restart = async {
        tokio::task::yield_now().await;
        server.restart();
    };
    let (after, ()) = tokio::join!(request, restart);
    assert_eq!(after.unwrap().model, before.model);
    assert_eq!(server.log(), "");
}

#[tokio::test]
async fn no_request_is_lost_between_two_servers() {
    let mut server = Supervisor::start(&[]);
    let client = connect(&server).await;
    client.embed_text("loaded").await.unwrap();
    for _ in 0..3 {
        let requests = embed_together(&client, (0..16).map(picture).collect());
        let replace = async {
            tokio::task::yield_now().await;
            server.signal(Signal::TERM);
            // Blocks this thread, and so the client, until the server has ended.
            assert_eq!(server.wait().code(), Some(0));
            server.restart();
        };
        let (answers, ()) = tokio::join!(requests, replace);
        for answer in answers {
            answer.unwrap();
        }
    }
}

#[tokio::test]
async fn a_missing_model_is_reported_and_a_repaired_one_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    std::fs::create_dir(&model).unwrap();
    let mut server = Supervisor::with_model(&model, &[]);
    let client = connect(&server).await;
    for _ in 0..2 {
        let error = client.embed_image(picture(0), Animations::FirstFrame).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ModelMissing);
        assert!(error.is_model());
        assert!(error.to_string().contains("config.json"), "{error}");
    }
    let info = client.info().await.unwrap();
    assert!(matches!(&info.model, ModelState::Failed { kind: ErrorKind::ModelMissing, .. }), "{info:?}");

    support::init_model(&model);
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();

    // Damage does not affect the loaded model, but the next server.
    std::fs::write(model.join("model.safetensors"), "damaged").unwrap();
    client.embed_text("x").await.unwrap();
    server.signal(Signal::TERM);
    server.wait();
    server.restart();
    let error = client.embed_text("x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ModelInvalid);
    assert!(server.is_running());
}

/// The frame after which the server closes the connection.
fn last_frame(stream: &mut UnixStream) -> Response {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut frame = Vec::new();
    // Unread bytes turn the end of the connection into a reset.
    if let Err(error) = stream.read_to_end(&mut frame) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    let (header, payload) = frame.split_first_chunk::<HEADER_BYTES>().unwrap();
    let header = Header::decode(header).unwrap();
    assert_eq!((header.id, header.length as usize), (0, payload.len()));
    Response::decode(header.kind, payload).unwrap()
}

/// A directory that this process has given up the right to read is read by its successor, without an error for clients.
#[tokio::test]
async fn a_model_directory_created_later_is_read_by_the_next_process() {
    let parent = tempfile::tempdir().unwrap();
    let model = parent.path().join("model");
    let mut server = Supervisor::with_model(&model, &[]);
    let client = Client::connect(&server.socket()).await.unwrap();
    assert_eq!(client.embed_text("x").await.unwrap_err().kind(), ErrorKind::ModelMissing);
    if client.info().await.unwrap().sandbox.landlock == 0 {
        return;
    }
    support::init_model(&model);
    let (embedded, ()) = tokio::join!(client.embed_text("x"), async {
        while server.is_running() {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.wait().code(), Some(0));
        server.restart();
    });
    embedded.unwrap();
    assert!(client.info().await.unwrap().sandbox.sealed);
}

#[tokio::test]
async fn weights_changed_while_in_use_give_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    support::init_model(&model);
    let mut server = Supervisor::with_model(&model, &[]);
    let client = Client::connect(&server.socket()).await.unwrap();
    let before = client.embed_text("x").await.unwrap();
    let mut entries = std::fs::read_dir(&model).unwrap().map(|entry| entry.unwrap().path());
    let Some(packed) = entries.find(|path| path.extension().is_some_and(|extension| extension == "packed")) else {
        return;
    };
    let file = std::fs::File::options().write(true).open(&packed).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0x55; 4096], 1 << 20).unwrap();
    drop(file);
    let (embedded, ()) = tokio::join!(client.embed_text("y"), async {
        while server.is_running() {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.wait().code(), Some(0));
        server.restart();
    });
    embedded.unwrap();
    assert!(server.log().contains("were changed while in use"), "{}", server.log());
    // Written again from the checkpoint.
    assert!(client.embed_text("x").await.unwrap() == before);
}

#[test]
fn an_oversized_frame_is_refused_unread() {
    let server = Supervisor::start(&[]);
    let mut stream = UnixStream::connect(server.socket()).unwrap();
    let header = Header { kind: FrameKind::Image, id: 1, length: MAX_IMAGE_BYTES as u32 + 1 };
    stream.write_all(&header.encode()).unwrap();
    let Response::Error { kind, message } = last_frame(&mut stream) else { panic!("no error") };
    assert_eq!(kind, ErrorKind::Protocol);
    assert!(message.contains("268435457") && message.contains("268435456"), "{message}");
}

/// The server's limits have different errors, and none of them ends the connection.
#[tokio::test]
async fn a_picture_over_a_limit_is_refused_alone() {
    let size = picture(0).len();
    let limits = [
        (
            "--max-image-bytes",
            size - 1,
            ErrorKind::TooLarge,
            format!("has {size} bytes, more than the limit of {}", size - 1),
        ),
        (
            "--max-image-pixels",
            71_999,
            ErrorKind::TooManyPixels,
            "240 x 300 = 72000 pixels, more than the limit of 71999".to_owned(),
        ),
        (
            "--max-image-side",
            299,
            ErrorKind::SideTooLong,
            "240 x 300 pixels, more than the limit of 299 per side".to_owned(),
        ),
    ];
    for (option, limit, kind, expected) in limits {
        let server = Supervisor::start(&[option, &limit.to_string()]);
        let client = connect(&server).await;
        for _ in 0..2 {
            let error = client.embed_image(picture(0), Animations::FirstFrame).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.is_input() && error.to_string().contains(&expected), "{error}");
        }
        let server = Supervisor::start(&[option, &(limit + 1).to_string()]);
        connect(&server).await.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
    }
}

#[test]
fn arbitrary_bytes_end_one_connection_and_nothing_else() {
    let mut server = Supervisor::start(&[]);
    let path = server.socket();
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), HEADER_BYTES..2000),
        // A valid request first.
        prop::collection::vec(any::<u8>(), HEADER_BYTES..200).prop_map(|rest| {
            let (header, _) = Request::Info.encode(1).unwrap();
            [&header.encode()[..], &rest].concat()
        }),
    ];
    proptest!(ProptestConfig::with_cases(200), |(bytes in bytes)| {
        // Four bytes in 2^32 would begin a frame.
        prop_assume!(!bytes.starts_with(b"PEMB") || !bytes[HEADER_BYTES..].starts_with(b"PEMB"));
        let mut stream = UnixStream::connect(&path).unwrap();
        // The server may refuse while we still write.
        let _ = stream.write_all(&bytes);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            prop_assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        prop_assert!(answer.starts_with(b"PEMB"), "{:?}", answer);
    });
    assert!(server.is_running());
    assert_eq!(server.log(), "");
}

#[tokio::test]
async fn the_socket_is_created_and_removed_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = program()
        .current_dir(directory.path())
        .args(["serve", "--socket", "socket", "--model"])
        .arg(support::model())
        .spawn()
        .unwrap();
    let path = directory.path().join("socket");
    let deadline = Instant::now() + Duration::from_secs(20);
    let client = loop {
        match Client::connect(&path).await {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
    client.embed_text("x").await.unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let signalled = Instant::now();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(2), "{:?}", signalled.elapsed());
    assert!(!path.exists());
    let error = client.embed_text("x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn ends_with_its_parent() {
    // Both hold the write end of one pipe, so its end is the end of both. The idle timeout is for a server that fails here.
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let script = format!(
        "{} serve --model {} --socket {} --parent-death --parent-pid $$ --idle-timeout 5 & wait",
        env!("CARGO_BIN_EXE_pinterest-embedder"),
        support::model().display(),
        socket.display()
    );
    let mut parent = std::process::Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while UnixStream::connect(&socket).is_err() {
        assert!(Instant::now() < deadline, "the server did not start");
        std::thread::yield_now();
    }
    let killed = Instant::now();
    parent.kill().unwrap();
    parent.wait().unwrap();
    parent.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    assert!(UnixStream::connect(&socket).is_err());
}

#[test]
fn does_not_start_under_a_foreign_parent() {
    let output = program()
        .args(["serve", "--socket", "/nowhere/socket", "--model", "/nowhere", "--parent-death", "--parent-pid", "1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("expected 1"), "{message}");
}

#[tokio::test]
async fn rights_and_limits_are_given_up() {
    let server = Supervisor::start(&["--memory-limit", "4294967296"]);
    connect(&server).await.info().await.unwrap();
    let process = Path::new("/proc").join(server.pid().to_string());
    let read = |name: &str| std::fs::read_to_string(process.join(name)).unwrap();
    let limit = |name: &str| {
        let limits = read("limits");
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max core file size"), "0 0");
    assert_eq!(limit("Max open files"), "1024 1024");
    assert_eq!(limit("Max address space"), "4294967296 4294967296");
    assert_eq!(read("oom_score_adj").trim(), "1000");
    let niceness = |task: &Path| {
        let status = std::fs::read_to_string(task.join("stat")).unwrap();
        // Of the fields after the program's name, which may hold anything, the seventeenth.
        let (_, fields) = status.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
    };
    let ours = niceness(Path::new("/proc/thread-self"));
    assert_eq!(niceness(&process), ours + 5);
    assert!(read("status").contains("NoNewPrivs:\t1"));
}
