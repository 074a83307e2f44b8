use std::sync::Arc;

use embedder::protocol::{HEADER_BYTES, Header, Response};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::front::activity::Activity;
use crate::front::answers::{Outgoing, Ticket};
use crate::inference::BATCH;

const DECODERS: usize = 2;
const PASS_TIME: Duration = Duration::from_millis(60);

struct Client {
    client: ClientNumber,
    answers: UnboundedSender<Outgoing>,
    outgoing: UnboundedReceiver<Outgoing>,
    permits: Arc<Semaphore>,
    activity: Activity,
}

impl Client {
    fn new(connection: u64) -> Self {
        let (answers, outgoing) = unbounded_channel();
        Self {
            client: ClientNumber(connection),
            answers,
            outgoing,
            permits: Arc::new(Semaphore::new(1000)),
            activity: Activity::default(),
        }
    }

    fn job<Input>(&self, input: Input) -> Job<Input> {
        let ticket = Ticket {
            _place: Some(Arc::clone(&self.permits).try_acquire_owned().unwrap()),
            _work: Some(self.activity.begin()),
        };
        Job { input, responder: Responder::new(self.client, 1, self.answers.clone(), ticket) }
    }

    fn push_text(&self, queue: &Queue, text: &str) {
        queue.push_text(self.job(text.to_owned()));
    }

    fn push_image(&self, queue: &Queue) {
        queue.push_image(self.job(Encoded {
            image: Bytes::new(),
            animations: Animations::FirstFrame,
            task: Task::Embed,
            _budget: Room::default(),
        }));
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

fn pixels_of(job: Job<Encoded>) -> Job<Decoded> {
    let pixels = clip::preprocess(PIXEL, &clip::Limits::default()).unwrap();
    Job { input: Decoded { pixels, animated: false, thumbnail: None, sha256: [0; 32] }, responder: job.responder }
}

fn decode_one(queue: &Queue) {
    let Next::Any(job) = queue.next_image() else { panic!("expected a picture that nobody has looked at") };
    queue.decoded(Some(pixels_of(job)));
}

fn next_texts(queue: &Queue) -> Vec<String> {
    match queue.next_batch() {
        Batch::Texts(jobs) => jobs.into_iter().map(|job| job.input).collect(),
        Batch::Images(_) => panic!("expected texts"),
    }
}

/// Whose images they are.
fn next_images(queue: &Queue) -> Vec<u64> {
    match queue.next_batch() {
        Batch::Images(jobs) => jobs.into_iter().map(|job| job.responder.client().0).collect(),
        Batch::Texts(_) => panic!("expected pictures"),
    }
}

fn next_image_count(queue: &Queue) -> usize {
    next_images(queue).len()
}

/// A queue that has learnt that a pass of `images` images, at most eight, or of `texts` texts, just fits. With breaks, images may
/// take four times as long.
fn queue_for(images: u32, texts: u32) -> Queue {
    let queue = Queue::new(100, PASS_TIME, DECODERS);
    // A little less than their share: a rounding error is not to cost one.
    queue.images_took(1, 4 * PASS_TIME * 99 / (images * 100));
    queue.texts_took(1, PASS_TIME * 99 / (texts * 100));
    queue
}

#[test]
fn texts_and_pictures_take_turns() {
    let queue = queue_for(3, 5);
    let client = Client::new(1);
    for _ in 0..6 {
        client.push_image(&queue);
    }
    for _ in 0..5 {
        decode_one(&queue);
    }
    for number in 0..6 {
        client.push_text(&queue, &number.to_string());
    }
    assert_eq!(next_texts(&queue), ["0", "1", "2", "3", "4"]);
    assert_eq!(next_image_count(&queue), 3);
    assert_eq!(next_texts(&queue), ["5"]);
    assert_eq!(next_image_count(&queue), 2);
    decode_one(&queue);
    assert_eq!(next_image_count(&queue), 1);
}

#[test]
fn a_stream_of_texts_does_not_starve_pictures() {
    let queue = queue_for(1, 1);
    let client = Client::new(1);
    for _ in 0..3 {
        client.push_image(&queue);
        decode_one(&queue);
    }
    let mut pictures = 0;
    for _ in 0..6 {
        client.push_text(&queue, "another");
        match queue.next_batch() {
            Batch::Images(jobs) => pictures += jobs.len(),
            Batch::Texts(_) => {}
        }
    }
    assert_eq!(pictures, 3);
}

#[test]
fn one_picture_does_not_wait_for_another_clients_sixty_four() {
    let queue = queue_for(4, 1);
    let (importer, other) = (Client::new(1), Client::new(2));
    for _ in 0..64 {
        importer.push_image(&queue);
    }
    // As many as are decoded ahead.
    for _ in 0..4 + DECODERS {
        decode_one(&queue);
    }
    other.push_image(&queue);
    assert_eq!(next_images(&queue), [1, 1, 1, 1]);
    for _ in 0..4 {
        decode_one(&queue);
    }
    assert_eq!(next_images(&queue), [1, 2, 1, 1]);
    assert_eq!(next_images(&queue), [1, 1]);
}

#[test]
fn one_text_does_not_wait_for_another_clients_sixty_four() {
    let queue = queue_for(1, 4);
    let (bulk, other) = (Client::new(1), Client::new(2));
    for number in 0..64 {
        bulk.push_text(&queue, &number.to_string());
    }
    other.push_text(&queue, "a barn");
    assert_eq!(next_texts(&queue), ["0", "a barn", "1", "2"]);
    assert_eq!(next_texts(&queue), ["3", "4", "5", "6"]);
}

#[test]
fn without_breaks_a_text_shortens_the_next_passes() {
    let queue = queue_for(1, 1);
    queue.set_batches_pay(true);
    let client = Client::new(1);
    for _ in 0..BATCH + DECODERS {
        client.push_image(&queue);
        decode_one(&queue);
    }
    assert_eq!(next_image_count(&queue), BATCH);
    client.push_text(&queue, "a barn");
    assert_eq!(next_texts(&queue), ["a barn"]);
    assert_eq!(next_image_count(&queue), 1);
    assert_eq!(next_image_count(&queue), 1);
}

#[test]
fn texts_that_come_during_a_pass_of_pictures_are_taken_in_its_breaks() {
    let queue = queue_for(2, 2);
    let client = Client::new(1);
    for _ in 0..3 {
        client.push_image(&queue);
        decode_one(&queue);
    }
    assert_eq!(next_image_count(&queue), 2);
    let at_break = || queue.texts_at_break().into_iter().map(|job| job.input).collect::<Vec<_>>();
    assert!(at_break().is_empty());
    for text in ["a barn", "a beach", "a garden"] {
        client.push_text(&queue, text);
    }
    assert_eq!(at_break(), ["a barn", "a beach"]);
    assert_eq!(at_break(), ["a garden"]);
    assert_eq!(next_image_count(&queue), 1);
}

#[test]
fn decoding_ahead_is_bounded() {
    let queue = Arc::new(queue_for(6, 1));
    let client = Client::new(1);
    for _ in 0..7 + DECODERS {
        client.push_image(&queue);
    }
    for _ in 0..6 + DECODERS {
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
    assert_eq!(next_image_count(&queue), 6);
    when_taken.recv().unwrap();
    decoder.join().unwrap();
}

/// Large images are decoded one at a time, also those of different clients; small ones are decoded meanwhile.
#[test]
fn large_pictures_take_turns_and_small_ones_overtake_them() {
    const LARGE: Measure = Measure { width: 8000, height: 6000, memory: 1 << 20 };
    let queue = queue_for(8, 1);
    let (album, snapshot) = (Client::new(1), Client::new(2));
    for _ in 0..3 {
        album.push_image(&queue);
    }
    let set_aside = || {
        let Next::Any(job) = queue.next_image() else { panic!("a large picture beside another one") };
        queue.set_aside(job, LARGE);
    };
    let next_large = || match queue.next_image() {
        Next::Large(job, LARGE) => job,
        _ => panic!("no large picture"),
    };
    set_aside();
    let first = next_large();
    set_aside();
    set_aside();
    snapshot.push_image(&queue);
    decode_one(&queue);
    assert_eq!(queue.statistics().images_waiting, 4);
    queue.decoded_large(Some(pixels_of(first)));
    drop(next_large());
    queue.decoded_large(None);
    queue.decoded_large(Some(pixels_of(next_large())));
    assert_eq!(next_images(&queue), [2, 1, 1]);
    assert_eq!(queue.statistics().images_waiting, 0);
}

#[test]
fn statistics_count_what_was_done_and_what_waits() {
    let queue = Queue::new(100, PASS_TIME, DECODERS);
    let client = Client::new(1);
    assert_eq!(queue.statistics(), Statistics::default());
    for _ in 0..3 {
        client.push_image(&queue);
    }
    client.push_text(&queue, "a barn");
    decode_one(&queue);
    let waiting = Statistics { images_waiting: 3, texts_waiting: 1, ..Statistics::default() };
    assert_eq!(queue.statistics(), waiting);
    next_texts(&queue);
    queue.texts_took(1, Duration::from_millis(3));
    next_image_count(&queue);
    queue.images_took(1, Duration::from_millis(20));
    let expected = Statistics {
        images: 1,
        image_passes: 1,
        texts: 1,
        text_passes: 1,
        texts_remembered: 0,
        images_waiting: 2,
        texts_waiting: 0,
        image_microseconds: 20_000,
    };
    assert_eq!(queue.statistics(), expected);
}

#[test]
fn a_full_queue_refuses_with_both_numbers_and_only_its_own_kind() {
    let queue = Queue::new(3, PASS_TIME, DECODERS);
    let mut client = Client::new(1);
    for _ in 0..3 {
        client.push_image(&queue);
    }
    decode_one(&queue);
    assert!(client.refusal().is_none());
    client.push_image(&queue);
    let (kind, message) = client.refusal().unwrap();
    assert_eq!(kind, ErrorKind::Busy);
    assert_eq!(message, "embedder queue is full: 3 images are waiting, the limit is 3");
    client.push_text(&queue, "not affected");
    assert!(client.refusal().is_none());
    assert_eq!(next_texts(&queue), ["not affected"]);
}

#[test]
fn work_of_a_disconnected_client_is_skipped() {
    let queue = Queue::new(100, PASS_TIME, DECODERS);
    let (gone, stays) = (Client::new(1), Client::new(2));
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
