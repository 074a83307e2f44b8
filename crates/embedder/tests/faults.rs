//! Clients of a server that crashes, hangs or sends wrong answers. Requires the feature `fault-injection`.

mod support;

use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::time::Duration;

use embedder::{Animations, Client, ErrorKind, WATCHDOG_EXIT_STATUS};
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use support::{Supervisor, picture};
use tokio::task::LocalSet;

fn fault(word: &str) -> String {
    format!("PINTEREST-EMBEDDER-FAULT:{word}")
}

async fn connect(server: &Supervisor) -> Client {
    let client = Client::connect(&server.socket()).await.unwrap();
    client.embed_text("the model is loaded").await.unwrap();
    client
}

#[tokio::test]
async fn a_crash_only_fails_requests_in_flight() {
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
        let error = client.embed_image(fault(word), Animations::FirstFrame).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Died, "{word}: {error}");
        assert!(error.is_retryable());
        let status = server.wait();
        assert_eq!((status.signal(), status.code()), (signal, code), "{word}");
        server.restart();
        client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
    }
}

#[tokio::test]
async fn a_hanging_input_ends_the_server_and_only_its_digest_is_logged() {
    let mut server = Supervisor::start(&["--image-timeout", "1"]);
    let client = connect(&server).await;
    let hang = fault("hang");
    let (hung, mate) = tokio::join!(
        client.embed_image(hang.clone(), Animations::FirstFrame),
        client.embed_image(picture(0), Animations::FirstFrame)
    );
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

/// On other processors, passes have no breaks.
#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_text_does_not_wait_for_the_end_of_a_pass_of_pictures() {
    let server = Supervisor::slow(Duration::from_millis(700), &[]);
    let client = Rc::new(connect(&server).await);
    // Tasks wake up in the order of their answers.
    let answered = Rc::new(RefCell::new(Vec::new()));
    let tasks = LocalSet::new();
    for number in 0..3 {
        let (client, answered) = (client.clone(), answered.clone());
        tasks.spawn_local(async move {
            client.embed_image(picture(number), Animations::FirstFrame).await.unwrap();
            answered.borrow_mut().push("image");
        });
    }
    let for_text = answered.clone();
    tasks.spawn_local(async move {
        // An image that takes so long has a pass of its own. The second one is under way.
        while client.info().await.unwrap().statistics.image_passes < 1 {
            tokio::task::yield_now().await;
        }
        client.embed_text("a barn").await.unwrap();
        for_text.borrow_mut().push("text");
    });
    tasks.await;
    assert_eq!(*answered.borrow(), ["image", "text", "image", "image"]);
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
async fn a_panic_of_a_decoder_fails_only_its_picture() {
    let mut server = Supervisor::start(&[]);
    let client = connect(&server).await;
    let (panicked, mate) = tokio::join!(
        client.embed_image(fault("panic"), Animations::FirstFrame),
        client.embed_image(picture(0), Animations::FirstFrame)
    );
    assert_eq!(panicked.unwrap_err().kind(), ErrorKind::Malformed);
    mate.unwrap();
    assert!(server.is_running());
    let log = server.log();
    assert!(log.contains("panicked at") && !log.contains("as requested"), "{log}");
}

#[tokio::test]
async fn a_wrong_answer_is_never_an_embedding() {
    for word in ["garbage", "nan", "short", "zero"] {
        let server = Supervisor::start(&[]);
        let client = connect(&server).await;
        let error = client.embed_image(fault(word), Animations::FirstFrame).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{word}: {error}");
        client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
    }
}

/// Name and errno of each attempt to leave the sandbox, from inside, by plain system calls.
fn attempts(report: &str) -> Vec<(&str, i32)> {
    let attempts: Vec<_> = report
        .split(' ')
        .map(|attempt| attempt.split_once('=').unwrap_or_else(|| panic!("{report}")))
        .map(|(name, errno)| (name, errno.parse().unwrap()))
        .collect();
    assert_eq!(attempts.len(), 29, "{report}");
    attempts
}

/// A private file, and the input that tries to read it and makes all other attempts.
struct Escape {
    secrets: tempfile::TempDir,
    word: String,
}

impl Escape {
    fn new() -> Self {
        let secrets = tempfile::tempdir().unwrap();
        let key = secrets.path().join("pinterest.key");
        std::fs::write(&key, "a key").unwrap();
        let config = support::model().join("config.json");
        let paths = [key.to_str().unwrap(), "/etc/passwd", config.to_str().unwrap(), secrets.path().to_str().unwrap()];
        let word = fault(&format!("escape:{}", paths.join("\n")));
        Self { secrets, word }
    }

    fn nothing_has_changed(&self) {
        assert_eq!(std::fs::read_dir(self.secrets.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read(self.secrets.path().join("pinterest.key")).unwrap(), b"a key");
    }
}

fn is_denied(errno: i32) -> bool {
    [libc::EPERM, libc::EACCES, libc::ENOSYS].contains(&errno)
}

/// In a decoding thread and in the model's.
#[tokio::test]
async fn a_compromised_decoder_cannot_leave_the_sandbox() {
    let escape = Escape::new();
    let mut server = Supervisor::start(&[]);
    let client = connect(&server).await;
    let sandbox = client.info().await.unwrap().sandbox;
    println!("{sandbox}");
    assert!(sandbox.seccomp && sandbox.sealed, "{sandbox}");
    let of_decoder = client.embed_image(escape.word.clone(), Animations::FirstFrame).await.unwrap_err().to_string();
    let of_model = client.embed_text(escape.word.clone()).await.unwrap_err().to_string();
    for report in [of_decoder, of_model] {
        for (name, errno) in attempts(&report) {
            assert!(is_denied(errno), "{name} gave {errno}: {report}");
        }
    }
    assert!(server.is_running());
    escape.nothing_has_changed();
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
}

/// Without Landlock, seccomp prevents opening files once the model is loaded; the server works and reports it.
#[tokio::test]
async fn a_kernel_without_landlock_is_reported() {
    let escape = Escape::new();
    let server = Supervisor::on_kernel_without(&[libc::SYS_landlock_create_ruleset], &[]);
    let client = connect(&server).await;
    let sandbox = client.info().await.unwrap().sandbox;
    assert!(sandbox.landlock == 0 && sandbox.seccomp && sandbox.sealed, "{sandbox}");
    assert!(sandbox.gap.as_ref().is_some_and(|gap| gap.starts_with("no Landlock: ")), "{sandbox}");
    let report = client.embed_image(escape.word.clone(), Animations::FirstFrame).await.unwrap_err().to_string();
    for (name, errno) in attempts(&report) {
        assert!(is_denied(errno), "{name} gave {errno}: {report}");
    }
    escape.nothing_has_changed();
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
}

/// Without seccomp, files cannot be opened but sockets can.
#[tokio::test]
async fn a_kernel_without_seccomp_is_reported() {
    let escape = Escape::new();
    let server = Supervisor::on_kernel_without(&[libc::SYS_seccomp], &[]);
    let client = connect(&server).await;
    let sandbox = client.info().await.unwrap().sandbox;
    assert!(!sandbox.seccomp && !sandbox.sealed, "{sandbox}");
    assert!(sandbox.gap.as_ref().is_some_and(|gap| gap.contains("no seccomp filter: ")), "{sandbox}");
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
    if sandbox.landlock == 0 {
        println!("not checked here: {sandbox}");
        return;
    }
    // Not all of them: one of the others would replace the server by another program.
    let paths = [escape.secrets.path().join("pinterest.key"), support::model().join("config.json")];
    for (path, expected) in paths.iter().zip([libc::EACCES, 0]) {
        let word = fault(&format!("read:{}", path.display()));
        let report = client.embed_image(word, Animations::FirstFrame).await.unwrap_err().to_string();
        assert_eq!(report, format!("read0={expected}"));
    }
    escape.nothing_has_changed();
}

/// Without both, the server works and reports it.
#[tokio::test]
async fn a_kernel_without_both_is_reported() {
    let lacking = [libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];
    let server = Supervisor::on_kernel_without(&lacking, &[]);
    let client = connect(&server).await;
    let sandbox = client.info().await.unwrap().sandbox;
    assert!(sandbox.to_string().starts_with("none; no Landlock: "), "{sandbox}");
    client.embed_image(picture(0), Animations::FirstFrame).await.unwrap();
}

/// While no model is loaded, only Landlock limits files.
#[tokio::test]
async fn without_a_model_only_its_directory_can_be_read() {
    let (secrets, model) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = secrets.path().join("pinterest.key");
    std::fs::write(&key, "a key").unwrap();
    std::fs::write(model.path().join("config.json"), "{}").unwrap();
    let server = Supervisor::with_model(model.path(), &[]);
    let client = Client::connect(&server.socket()).await.unwrap();
    assert!(client.embed_text("x").await.unwrap_err().is_model());
    let sandbox = client.info().await.unwrap().sandbox;
    if sandbox.landlock == 0 {
        println!("not checked here: {sandbox}");
        return;
    }
    assert!(sandbox.seccomp && !sandbox.sealed && sandbox.gap.is_none(), "{sandbox}");
    let config = model.path().join("config.json");
    let paths = [key.to_str().unwrap(), config.to_str().unwrap(), secrets.path().to_str().unwrap()];
    let word = fault(&format!("escape:{}", paths.join("\n")));
    let report = client.embed_image(word, Animations::FirstFrame).await.unwrap_err().to_string();
    assert!(report.starts_with(&format!("read0={} read1=0 list={} ", libc::EACCES, libc::EACCES)), "{report}");
    for (name, errno) in report.split(' ').filter_map(|attempt| attempt.split_once('=')).skip(2) {
        assert_ne!(errno, "0", "{name}: {report}");
    }
}
