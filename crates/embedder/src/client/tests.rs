use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::*;
use crate::protocol::{HEADER_BYTES, Header};
use crate::{DIMENSION, ErrorKind, ModelFingerprint};

/// A listening socket in its own directory.
struct Place {
    listener: UnixListener,
    path: PathBuf,
    _directory: TempDir,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    Place { listener: UnixListener::bind(&path).unwrap(), path, _directory: directory }
}

/// Runs a test whose two sides wait for each other, with a time limit: if one side is wrong, the other would wait forever.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(20), test).await.expect("the two sides wait for each other") })
}

impl Place {
    async fn accept(&self) -> UnixStream {
        self.listener.accept().await.unwrap().0
    }
}

async fn receive(stream: &mut UnixStream) -> (u64, Request) {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await.unwrap();
    let header = Header::decode(&header).unwrap();
    let mut payload = vec![0; header.length as usize];
    stream.read_exact(&mut payload).await.unwrap();
    let request = Request::decode(header.kind, payload.into()).unwrap();
    (header.id, request)
}

async fn send(stream: &mut UnixStream, id: u64, response: &Response) {
    stream.write_all(&response.encode(id)).await.unwrap();
}

/// A unit vector along `axis`.
fn embedding(axis: usize) -> Response {
    let mut vector = Box::new([0.0; DIMENSION]);
    vector[axis] = 1.0;
    Response::Embedding { model: ModelFingerprint::from_bytes([9; 32]), vector, animated: false, thumbnail: None }
}

fn info(model: ModelState) -> Response {
    Response::Info(Box::new(Info {
        pid: 1,
        threads: 1,
        version: String::new(),
        statistics: crate::Statistics::default(),
        sandbox: crate::Sandbox::default(),
        model,
    }))
}

fn busy() -> Response {
    Response::Error { kind: ErrorKind::Busy, message: "256 requests wait, the limit is 256".to_owned() }
}

fn axis(embedded: &Embedded) -> Option<usize> {
    embedded.vector.iter().position(|&value| value == 1.0)
}

#[test]
fn answers_find_their_requests_in_any_order() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let server = async {
            let mut stream = place.accept().await;
            let mut requests = Vec::new();
            for _ in 0..3 {
                requests.push(receive(&mut stream).await);
            }
            for (id, request) in requests.into_iter().rev() {
                let Request::Text(text) = request else { panic!("{request:?}") };
                send(&mut stream, id, &embedding(text.len())).await;
            }
            stream
        };
        let (one, two, three, _stream) =
            tokio::join!(client.embed_text("a"), client.embed_text("bb"), client.embed_text("ccc"), server);
        assert_eq!(axis(&one.unwrap()), Some(1));
        assert_eq!(axis(&two.unwrap()), Some(2));
        let three = three.unwrap();
        assert_eq!(axis(&three), Some(3));
        assert_eq!(three.model, ModelFingerprint::from_bytes([9; 32]));
    });
}

#[test]
fn answers_without_a_unit_vector_are_refused() {
    let mut not_finite = embedding(0);
    if let Response::Embedding { vector, .. } = &mut not_finite {
        vector[511] = f32::NAN;
    }
    let mut twice_as_long = embedding(0);
    if let Response::Embedding { vector, .. } = &mut twice_as_long {
        vector[0] = 2.0;
    }
    let mut too_short = embedding(0).encode(1);
    too_short.truncate(too_short.len() - 4);
    too_short[16..HEADER_BYTES].copy_from_slice(&(32u32 + 4 * 511).to_le_bytes());
    let another_kind = info(ModelState::Loading);
    for frame in [
        not_finite.encode(1),
        twice_as_long.encode(1),
        too_short,
        another_kind.encode(1),
        embedding(0).encode(2),
        embedding(0).encode(0),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0; 64],
    ] {
        let error = run(async {
            let place = place();
            let client = Client::connect(&place.path).await.unwrap();
            let server = async {
                let mut stream = place.accept().await;
                receive(&mut stream).await;
                stream.write_all(&frame).await.unwrap();
                stream
            };
            tokio::join!(client.embed_text("x"), server).0.unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(!error.is_retryable());
    }
}

#[test]
fn the_servers_refusal_is_returned() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let server = async {
            let mut stream = place.accept().await;
            let (id, _) = receive(&mut stream).await;
            send(&mut stream, id, &busy()).await;
            stream
        };
        let (answer, _stream) = tokio::join!(client.embed_text("x"), server);
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.is_retryable());
        assert_eq!(error.to_string(), "256 requests wait, the limit is 256");
    });
}

#[test]
fn patience_repeats_a_request_while_the_server_is_busy() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let server = async {
            let mut stream = place.accept().await;
            for answer in [busy(), busy(), embedding(6)] {
                let (id, request) = receive(&mut stream).await;
                assert_eq!(request, Request::Text("x".to_owned()));
                send(&mut stream, id, &answer).await;
            }
            stream
        };
        let (answer, _stream) =
            tokio::join!(client.embed(Input::Text("x".to_owned()), Duration::from_secs(10)), server);
        assert_eq!(axis(&answer.unwrap()), Some(6));
    });
}

#[test]
fn ready_waits_for_the_model_and_no_longer_than_its_patience() {
    let failed = ModelState::Failed { kind: ErrorKind::ModelMissing, message: "no file".to_owned() };
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let mut stream = place.accept().await;
        let server = async {
            for state in [ModelState::Loading, failed.clone()] {
                let (id, _) = receive(&mut stream).await;
                send(&mut stream, id, &info(state)).await;
            }
        };
        let (answer, ()) = tokio::join!(client.ready(Duration::from_secs(10)), server);
        assert_eq!(answer.unwrap().model, failed);

        let always_loading = async {
            loop {
                let (id, _) = receive(&mut stream).await;
                send(&mut stream, id, &info(ModelState::Loading)).await;
            }
        };
        let answer = tokio::select! {
            answer = client.ready(Duration::from_millis(300)) => answer,
            () = always_loading => unreachable!(),
        };
        assert_eq!(answer.unwrap().model, ModelState::Loading);

        let error = client.ready(Duration::from_millis(10)).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Busy, "no answer within 0.01 seconds".to_owned()));
    });
}

#[test]
fn a_connection_lost_with_a_request_is_reported_and_not_repeated() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let server = async {
            let mut stream = place.accept().await;
            receive(&mut stream).await;
        };
        let (answer, ()) = tokio::join!(client.embed_text("x"), server);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Died);

        // The next request gets a new connection.
        let server = async {
            let mut stream = place.accept().await;
            let (id, request) = receive(&mut stream).await;
            assert_eq!(request, Request::Text("y".to_owned()));
            send(&mut stream, id, &embedding(5)).await;
            stream
        };
        let (answer, _stream) = tokio::join!(client.embed_text("y"), server);
        assert_eq!(axis(&answer.unwrap()), Some(5));
    });
}

#[test]
fn after_a_goodbye_the_request_is_sent_again() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let server = async {
            let mut leaving = place.accept().await;
            receive(&mut leaving).await;
            send(&mut leaving, 0, &Response::Goodbye).await;
            drop(leaving);
            let mut next = place.accept().await;
            let (id, request) = receive(&mut next).await;
            assert_eq!(request, Request::Text("x".to_owned()));
            send(&mut next, id, &embedding(2)).await;
            next
        };
        let (answer, _stream) = tokio::join!(client.embed_text("x"), server);
        assert_eq!(axis(&answer.unwrap()), Some(2));
    });
}

#[test]
fn a_request_goes_to_a_limited_number_of_servers_that_say_goodbye() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let server = async {
            for _ in 0..CONNECTIONS {
                let mut stream = place.accept().await;
                send(&mut stream, 0, &Response::Goodbye).await;
            }
        };
        let (answer, ()) = tokio::join!(client.embed_text("x"), server);
        // Not `Died`: that would blame the request.
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
    });
}

#[test]
fn a_connection_closed_while_idle_is_replaced() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        drop(place.accept().await);
        answer_one(&place.listener, &client).await;
    });
}

#[test]
fn a_client_outlives_the_runtime_it_was_made_in() {
    let (client, place) = run(async {
        let place = place();
        (Client::connect(&place.path).await.unwrap(), place)
    });
    let listener = place.listener.into_std().unwrap();
    run(async {
        let listener = UnixListener::from_std(listener).unwrap();
        // The connection that ended with the first runtime.
        drop(listener.accept().await.unwrap());
        answer_one(&listener, &client).await;
    });
}

async fn answer_one(listener: &UnixListener, client: &Client) {
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let (id, _) = receive(&mut stream).await;
        send(&mut stream, id, &embedding(1)).await;
        stream
    };
    let (answer, _stream) = tokio::join!(client.embed_text("x"), server);
    assert_eq!(axis(&answer.unwrap()), Some(1));
}

#[test]
fn a_request_cut_off_by_the_end_of_the_connection_is_sent_again() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let image = vec![7; 4 * 1024 * 1024];
        let server = async {
            let mut stream = place.accept().await;
            stream.read_exact(&mut [0; 1000]).await.unwrap();
            drop(stream);
            let mut stream = place.accept().await;
            let (id, request) = receive(&mut stream).await;
            assert_eq!(request, Request::Image(image.clone().into(), Animations::Refuse));
            send(&mut stream, id, &embedding(4)).await;
            stream
        };
        let (answer, _stream) = tokio::join!(client.embed_image(image.clone(), Animations::Refuse), server);
        assert_eq!(axis(&answer.unwrap()), Some(4));
    });
}

#[test]
fn a_dropped_request_does_not_affect_others() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let mut stream = place.accept().await;

        // Sent, then abandoned: its answer is dropped.
        let given_up = tokio::select! {
            biased;
            _ = client.embed_text("given up") => panic!("nobody answered"),
            received = receive(&mut stream) => received.0,
        };
        let server = async {
            let (id, _) = receive(&mut stream).await;
            send(&mut stream, given_up, &embedding(8)).await;
            send(&mut stream, id, &embedding(3)).await;
        };
        let (answer, ()) = tokio::join!(client.embed_text("kept"), server);
        assert_eq!(axis(&answer.unwrap()), Some(3));
    });
}

#[test]
fn the_last_clone_closes_the_connection() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let mut stream = place.accept().await;
        drop(client.clone());
        drop(client);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn a_missing_socket_is_unavailable() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let error = Client::connect(&directory.path().join("absent")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("absent"), "{error}");
    });
}

#[test]
fn too_large_is_refused_before_it_is_sent() {
    run(async {
        let place = place();
        let client = Client::connect(&place.path).await.unwrap();
        let image = vec![0; crate::protocol::MAX_IMAGE_BYTES + 1];
        let error = client.embed_image(image, Animations::FirstFrame).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.is_input());
    });
}
