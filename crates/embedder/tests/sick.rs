//! An embedder on another machine that has the right certificate and model, and answers images wrongly. A healthy one beside it
//! answers each of them. Requires the feature `fault-injection`.

#[path = "support/machines.rs"]
mod machines;
mod support;

use std::sync::Arc;
use std::time::Duration;

use embedder::protocol::{FrameDecoder, Header, Part, Request, Response};
use embedder::{Animations, Client, DIMENSION, ErrorKind, Input, MemberState, ModelFingerprint};
use futures_util::StreamExt;
use machines::{Authority, Machine};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use support::{Supervisor, picture};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::FramedRead;

/// What it does with an image.
#[derive(Clone, Copy, Debug)]
enum Illness {
    Refuses(ErrorKind),
    Swallows,
    AnswersAnotherKind,
    AnswersForAnotherModel,
    AnswersTwice,
}

/// Serves at an address, by a healthy server behind it, except images.
async fn serve_sick(authority: &Authority, healthy: Client, illness: Illness) -> String {
    authority.issue("sick", &["127.0.0.1"]);
    let read = |end: &str| std::fs::read(authority.path(&format!("sick.{end}"))).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read("ca")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(&read("pem")).unwrap()],
            PrivateKeyDer::from_pem_slice(&read("key")).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"pinterest-embedder/1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, healthy) = (acceptor.clone(), healthy.clone());
            tokio::spawn(async move { answer(acceptor, stream, healthy, illness).await });
        }
    });
    address
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream, healthy: Client, illness: Illness) -> Option<()> {
    let (reads, mut writes) = tokio::io::split(acceptor.accept(stream).await.ok()?);
    let mut frames = FramedRead::new(reads, FrameDecoder::default());
    let mut header: Option<Header> = None;
    loop {
        let payload = match frames.next().await?.ok()? {
            Part::Header(next) => {
                header = Some(next);
                continue;
            }
            Part::Payload(payload) => payload,
        };
        let Header { kind, id, .. } = header.take()?;
        let request = Request::decode(kind, payload).ok()?;
        let answers = if kind.is_image() { ill(illness) } else { vec![healthy.pass(request).await.ok()?] };
        for answer in answers {
            writes.write_all(&answer.encode(id)).await.ok()?;
        }
        writes.flush().await.ok()?;
    }
}

fn ill(illness: Illness) -> Vec<Response> {
    let embedding = || {
        let mut vector = Box::new([0.0; DIMENSION]);
        vector[0] = 1.0;
        Response::Embedding { model: ModelFingerprint::from_bytes([9; 32]), vector, animated: false, thumbnail: None }
    };
    match illness {
        Illness::Refuses(kind) => vec![Response::Error { kind, message: "it is ill".to_owned() }],
        Illness::Swallows => Vec::new(),
        Illness::AnswersAnotherKind => vec![Response::Thumbnail(b"\xff\xd8\xff\xe0".to_vec().into())],
        Illness::AnswersForAnotherModel => vec![embedding()],
        Illness::AnswersTwice => vec![embedding(), embedding()],
    }
}

#[tokio::test]
async fn each_picture_is_answered_by_the_healthy_one() {
    let authority = Authority::new();
    let behind = Supervisor::start(&[]);
    let healthy = Client::connect(&behind.socket()).await.unwrap();
    healthy.embed_text("the model is loaded").await.unwrap();
    let far =
        Machine::serving_model(support::model(), &authority.options("far", &["127.0.0.1"]), Duration::from_millis(20));
    let mut options = authority.options("near", &["db1.internal"]);
    options.extend(["--embedder-timeout", "1"].map(str::to_owned));
    use ErrorKind::{Busy, Crashes, Inference, Malformed, ModelUnreadable, TooLarge, Unavailable, UnsupportedFormat};
    let kinds = [Busy, Crashes, Inference, Malformed, ModelUnreadable, TooLarge, Unavailable, UnsupportedFormat];
    for illness in kinds.map(Illness::Refuses).into_iter().chain([
        Illness::Swallows,
        Illness::AnswersAnotherKind,
        Illness::AnswersForAnotherModel,
        Illness::AnswersTwice,
    ]) {
        let sick = serve_sick(&authority, healthy.clone(), illness).await;
        // The sick one is nearer, and its speed is not known: it is asked first.
        let near = Machine::spreading(&format!("{sick}, {}", far.address.unwrap()), &options);
        let client = near.client_when(&[MemberState::Ready; 2]).await;
        let mut tasks = JoinSet::new();
        for number in 0..30 {
            let client = client.clone();
            tasks.spawn(async move {
                let input = Input::Image(picture(number).into(), Animations::FirstFrame);
                client.embed(input, Duration::from_secs(30)).await
            });
        }
        for answer in tasks.join_all().await {
            answer.unwrap_or_else(|error| panic!("{illness:?}: {error}: {}", near.log()));
        }
        let members = client.embedders().await.unwrap();
        assert_eq!(members.iter().map(|member| member.images).sum::<u64>(), 30, "{illness:?}: {members:#?}");
        // What refuses by its limits is not ill.
        let is_limit = matches!(illness, Illness::Refuses(TooLarge));
        assert_eq!(members[0].failures == 0, is_limit, "{illness:?}: {members:#?}");
    }
}
