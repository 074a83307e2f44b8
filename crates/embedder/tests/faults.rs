//! What a client sees of a server that crashes, hangs or lies. Needs the feature `fault-injection`.

mod support;

use std::os::unix::process::ExitStatusExt;

use embedder::{Client, ErrorKind, WATCHDOG_EXIT_STATUS};
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use support::{Supervisor, picture};

fn fault(word: &str) -> String {
    format!("PINTEREST-EMBEDDER-FAULT:{word}")
}

async fn connect(server: &Supervisor) -> Client {
    let client = Client::connect(&server.socket()).await.unwrap();
    client.embed_text("the model is loaded").await.unwrap();
    client
}

#[tokio::test]
async fn a_crash_takes_only_what_is_in_flight() {
    let abort = Some(Signal::ABORT.as_raw());
    for (word, signal, code) in [
        ("abort", abort, None),
        ("bus", Some(Signal::BUS.as_raw()), None),
        ("exit", None, Some(0)),
        ("kill", Some(Signal::KILL.as_raw()), None),
        ("memory", abort, None),
        ("segfault", Some(Signal::SEGV.as_raw()), None),
        ("stack-overflow", abort, None),
    ] {
        let mut server = Supervisor::start(&["--memory-limit", "4294967296"]);
        let client = connect(&server).await;
        let error = client.embed_image(fault(word)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Died, "{word}: {error}");
        assert!(error.is_retryable());
        let status = server.wait();
        assert_eq!((status.signal(), status.code()), (signal, code), "{word}");
        server.restart();
        client.embed_image(picture(0)).await.unwrap();
    }
}

#[tokio::test]
async fn what_hangs_is_ended_and_named_by_its_digest_alone() {
    let mut server = Supervisor::start(&["--image-timeout", "1"]);
    let client = connect(&server).await;
    let hang = fault("hang");
    let (hung, mate) = tokio::join!(client.embed_image(hang.clone()), client.embed_image(picture(0)));
    assert_eq!(hung.unwrap_err().kind(), ErrorKind::Died);
    // One thread hangs, the other one still decodes.
    mate.unwrap();
    assert_eq!(server.wait().code(), Some(WATCHDOG_EXIT_STATUS));
    let digest: String = Sha256::digest(&hang).iter().map(|byte| format!("{byte:02x}")).collect();
    let log = server.log();
    assert!(log.contains(&digest), "{log}");
    assert!(!log.contains("FAULT"), "{log}");

    server.restart();
    let error = client.embed_text(hang).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Died);
    assert_eq!(server.wait().code(), Some(WATCHDOG_EXIT_STATUS));
    assert!(server.log().contains("texts of [29] bytes"), "{}", server.log());
}

#[tokio::test]
async fn a_known_text_does_not_wait_for_the_model() {
    let mut server = Supervisor::start(&["--image-timeout", "2"]);
    let client = connect(&server).await;
    let known = client.embed_text("a barn").await.unwrap();
    let passes = async || client.info().await.unwrap().statistics;
    let (hung, ()) = tokio::join!(client.embed_text(fault("hang")), async {
        // Sent over the same connection, so the text has come before the first of these; until the model's thread has it.
        while passes().await.texts_waiting > 0 {
            tokio::task::yield_now().await;
        }
        assert!(client.embed_text("a barn").await.unwrap() == known);
        assert_eq!(passes().await.texts_remembered, 1);
    });
    assert_eq!(hung.unwrap_err().kind(), ErrorKind::Died);
    assert_eq!(server.wait().code(), Some(WATCHDOG_EXIT_STATUS));
}

#[tokio::test]
async fn a_decoders_panic_is_the_pictures_failure() {
    let mut server = Supervisor::start(&[]);
    let client = connect(&server).await;
    let (panicked, mate) = tokio::join!(client.embed_image(fault("panic")), client.embed_image(picture(0)));
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Malformed);
    mate.unwrap();
    assert!(server.is_running());
    let log = server.log();
    assert!(log.contains("panicked at") && !log.contains("as told"), "{log}");
}

#[tokio::test]
async fn a_lie_is_never_an_embedding() {
    for word in ["garbage", "nan", "short", "zero"] {
        let server = Supervisor::start(&[]);
        let client = connect(&server).await;
        let error = client.embed_image(fault(word)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{word}: {error}");
        client.embed_image(picture(0)).await.unwrap();
    }
}
