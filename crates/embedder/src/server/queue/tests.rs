use std::sync::Arc;

use embedder::protocol::{HEADER_BYTES, Header, Response};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::server::activity::Activity;
use crate::server::answers::{Outgoing, Ticket};

struct Client {
    answers: UnboundedSender<Outgoing>,
    outgoing: UnboundedReceiver<Outgoing>,
    permits: Arc<Semaphore>,
    activity: Activity,
}

impl Client {
    fn new() -> Self {
        let (answers, outgoing) = unbounded_channel();
        Self { answers, outgoing, permits: Arc::new(Semaphore::new(1000)), activity: Activity::default() }
    }

    fn job<Input>(&self, input: Input) -> Job<Input> {
        let ticket =
            Ticket { _place: Arc::clone(&self.permits).try_acquire_owned().unwrap(), _work: self.activity.begin() };
        Job { input, asker: Asker::new(1, self.answers.clone(), ticket) }
    }

    fn push_text(&self, queue: &Queue, text: &str) {
        queue.push_text(self.job(text.to_owned()));
    }

    fn push_image(&self, queue: &Queue) {
        let budget = Arc::clone(&self.permits).try_acquire_owned().unwrap();
        queue.push_image(self.job(Encoded { image: Bytes::new(), _budget: budget }));
    }

    /// The next refusal that was sent.
    fn refusal(&mut self) -> Option<(ErrorKind, String)> {
        let Ok(Outgoing::Answer(frame, _)) = self.outgoing.try_recv() else {
            return None;
        };
        let (header, payload) = frame.split_first_chunk::<HEADER_BYTES>().unwrap();
        let header = Header::decode(header).unwrap();
        match Response::decode(header.kind, payload).unwrap() {
            Response::Error { kind, message } => Some((kind, message)),
            other => panic!("{other:?}"),
        }
    }
}

/// A grey PNG of one pixel: the smallest way to get pixels.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\0\0\0\nIDAT\x78\x9cch\0\0\0\x82\0\x81\x77\xcdr\xb6\0\0\0\0IEND\xaeB`\x82";

fn decode_one(queue: &Queue) {
    let Job { asker, .. } = queue.next_image();
    let input = Decoded { pixels: clip::preprocess(PIXEL, &clip::Limits::default()).unwrap(), sha256: [0; 32] };
    queue.decoded(Some(Job { input, asker }));
}

fn next_texts(queue: &Queue) -> Vec<String> {
    match queue.next_batch() {
        Batch::Texts(jobs) => jobs.into_iter().map(|job| job.input).collect(),
        Batch::Images(_) => panic!("expected texts"),
    }
}

fn next_image_count(queue: &Queue) -> usize {
    match queue.next_batch() {
        Batch::Images(jobs) => jobs.len(),
        Batch::Texts(_) => panic!("expected pictures"),
    }
}

#[test]
fn texts_and_pictures_take_turns() {
    let queue = Queue::new(100);
    let client = Client::new();
    for _ in 0..2 * BATCH {
        client.push_image(&queue);
    }
    for _ in 0..BATCH {
        decode_one(&queue);
    }
    for number in 0..=BATCH {
        client.push_text(&queue, &number.to_string());
    }
    assert_eq!(next_texts(&queue).len(), BATCH);
    assert_eq!(next_image_count(&queue), BATCH);
    assert_eq!(next_texts(&queue), [BATCH.to_string()]);
    decode_one(&queue);
    assert_eq!(next_image_count(&queue), 1);
}

#[test]
fn no_more_than_a_batch_is_decoded_ahead() {
    let queue = Arc::new(Queue::new(100));
    let client = Client::new();
    for _ in 0..BATCH + 1 {
        client.push_image(&queue);
    }
    for _ in 0..BATCH {
        decode_one(&queue);
    }
    let (taken, when_taken) = std::sync::mpsc::channel();
    let decoder = std::thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            let job = queue.next_image();
            taken.send(()).unwrap();
            drop(job);
        }
    });
    assert!(when_taken.try_recv().is_err());
    assert_eq!(next_image_count(&queue), BATCH);
    when_taken.recv().unwrap();
    decoder.join().unwrap();
}

#[test]
fn a_full_queue_refuses_with_both_numbers_and_only_its_own_kind() {
    let queue = Queue::new(3);
    let mut client = Client::new();
    for _ in 0..3 {
        client.push_image(&queue);
    }
    decode_one(&queue);
    assert!(client.refusal().is_none());
    client.push_image(&queue);
    let (kind, message) = client.refusal().unwrap();
    assert_eq!(kind, ErrorKind::Busy);
    assert_eq!(message, "3 pictures are waiting for the embedder, the limit is 3");
    client.push_text(&queue, "not affected");
    assert!(client.refusal().is_none());
    assert_eq!(next_texts(&queue), ["not affected"]);
}

#[test]
fn work_whose_asker_has_gone_is_skipped() {
    let queue = Queue::new(100);
    let (gone, stays) = (Client::new(), Client::new());
    for _ in 0..3 {
        gone.push_text(&queue, "unwanted");
        gone.push_image(&queue);
    }
    stays.push_text(&queue, "wanted");
    stays.push_image(&queue);
    drop(gone);
    assert_eq!(next_texts(&queue), ["wanted"]);
    decode_one(&queue);
    assert_eq!(next_image_count(&queue), 1);
}
