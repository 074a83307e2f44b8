use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// What reaches an embedder in these tests: its name.
type Name = &'static str;

struct Bench {
    pool: Arc<Pool<Name>>,
    ids: Vec<MemberId>,
}

fn model(fingerprint: u8) -> Box<Model> {
    Box::new(Model {
        fingerprint: ModelFingerprint::from_bytes([fingerprint; 32]),
        weights_sha256: [0; 32],
        dimension: 512,
        name: "a model".to_owned(),
        precision: "f32".to_owned(),
        kernels: "avx2".to_owned(),
        preprocessing: "none".to_owned(),
        notice: None,
    })
}

/// An embedder with this model, whose embedding of the text that all are asked for has this first number.
fn ready(fingerprint: u8, first: f32) -> Status<Name> {
    let mut probe = [0.0; DIMENSION];
    (probe[0], probe[1]) = (first, (1.0 - first * first).sqrt());
    Status::Ready { way: "way", model: model(fingerprint), probe: Arc::new(probe) }
}

impl Bench {
    /// Embedders without one on this machine.
    fn new(count: usize) -> Self {
        Self::keeping(count, Duration::ZERO)
    }

    /// The same, which keep a model for this time.
    fn keeping(count: usize, keep: Duration) -> Self {
        let pool = Pool::new(Reference::OfMost(keep));
        let ids = (0..count).map(|number| pool.add(number.to_string(), String::new())).collect();
        Self { pool, ids }
    }

    /// Embedders, all ready with the same model.
    fn ready(count: usize) -> Self {
        let bench = Self::new(count);
        (0..count).for_each(|number| bench.has(number, 1));
        bench
    }

    fn has(&self, number: usize, fingerprint: u8) {
        self.pool.set(self.ids[number], ready(fingerprint, 1.0));
    }

    fn is_lost(&self, number: usize) {
        self.pool.set(self.ids[number], Status::Unreachable("cut off".to_owned()));
    }

    fn states(&self) -> Vec<MemberState> {
        self.pool.members().iter().map(|member| member.state).collect()
    }

    fn waiter(&self, client: u64, kind: Kind) -> Waiter {
        let pool = Arc::clone(&self.pool);
        Waiter(Box::pin(async move { pool.slot(ClientNumber(client), kind).await }))
    }

    /// A slot that is free now.
    fn slot(&self, kind: Kind) -> Slot<Name> {
        self.waiter(0, kind).poll().expect("an embedder has room")
    }
}

struct Waiter(Pin<Box<dyn Future<Output = Slot<Name>>>>);

impl Waiter {
    fn poll(&mut self) -> Option<Slot<Name>> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }
}

#[test]
fn clients_take_turns() {
    let bench = Bench::ready(1);
    let mut held: Vec<_> = (0..8).map(|_| bench.slot(Kind::Image)).collect();
    let mut many: Vec<_> = (0..5).map(|_| bench.waiter(1, Kind::Image)).collect();
    assert!(many.iter_mut().all(|waiter| waiter.poll().is_none()));
    let mut few = bench.waiter(2, Kind::Image);
    assert!(few.poll().is_none());
    held.pop();
    held.extend(many[0].poll());
    held.pop();
    assert!(few.poll().is_some(), "the second client waits for one of the first's five, and not for all");
}

#[test]
fn who_has_given_up_gets_nothing() {
    let bench = Bench::ready(1);
    let mut held: Vec<_> = (0..8).map(|_| bench.slot(Kind::Image)).collect();
    let mut gone = bench.waiter(1, Kind::Image);
    let mut next = bench.waiter(1, Kind::Image);
    assert!(gone.poll().is_none() && next.poll().is_none());
    drop(gone);
    held.pop();
    assert!(next.poll().is_some());
    drop((held, next));
    assert_eq!(bench.pool.waiting(), 0);
    // Without an embedder they do not gather either.
    bench.is_lost(0);
    for _ in 0..200 {
        assert!(bench.waiter(1, Kind::Image).poll().is_none());
    }
    bench.pool.tick();
    assert_eq!(bench.pool.waiting(), 0);
    assert!(bench.pool.lock().images.len() <= 64);
}

#[test]
fn a_text_does_not_wait_for_images_and_goes_to_the_nearest() {
    let bench = Bench::ready(2);
    bench.pool.set_round_trip(bench.ids[0], Duration::from_millis(30));
    bench.pool.set_round_trip(bench.ids[1], Duration::from_millis(1));
    let _images: Vec<_> = (0..16).map(|_| bench.slot(Kind::Image)).collect();
    let texts: Vec<_> = (0..20).map(|_| bench.slot(Kind::Text)).collect();
    assert!(texts[..14].iter().all(|slot| slot.member == bench.ids[1]));
    assert!(texts[16..].iter().any(|slot| slot.member == bench.ids[0]), "the nearest is not given all of many");
}

#[test]
fn the_faster_one_gets_more() {
    let bench = Bench::ready(2);
    {
        let mut state = bench.pool.lock();
        for (number, milliseconds) in [(0, 10), (1, 40)] {
            let entry = state.members.get_mut(&bench.ids[number]).unwrap();
            for _ in 0..200 {
                let in_flight = entry.window.size();
                entry.window.measured(Duration::from_millis(milliseconds) * in_flight, in_flight, Duration::ZERO);
            }
        }
    }
    let slots: Vec<_> = (0..20).map(|_| bench.slot(Kind::Image)).collect();
    let of_first = slots.iter().filter(|slot| slot.member == bench.ids[0]).count();
    assert_eq!(of_first, 16);
}

#[test]
fn only_the_reference_model_is_used() {
    let bench = Bench::new(3);
    bench.has(0, 7);
    // The others may yet answer.
    assert_eq!(bench.states(), [MemberState::Connecting; 3]);
    bench.has(1, 1);
    bench.has(2, 1);
    assert_eq!(bench.states(), [MemberState::OtherModel, MemberState::Ready, MemberState::Ready]);
    let slots: Vec<_> = (0..10).map(|_| bench.slot(Kind::Image)).collect();
    assert!(slots.iter().all(|slot| slot.member != bench.ids[0]));
    // One of the two returns with the model of the first: the reference stays.
    bench.has(1, 7);
    assert_eq!(bench.states(), [MemberState::OtherModel, MemberState::OtherModel, MemberState::Ready]);
    // The last one with the reference is gone.
    bench.is_lost(2);
    assert_eq!(bench.states(), [MemberState::Ready, MemberState::Ready, MemberState::Unreachable]);
}

#[test]
fn a_model_whose_embedders_are_away_for_a_moment_is_kept() {
    let bench = Bench::keeping(3, Duration::from_secs(60));
    bench.has(0, 1);
    bench.has(1, 1);
    bench.has(2, 7);
    assert_eq!(bench.states(), [MemberState::Ready, MemberState::Ready, MemberState::OtherModel]);
    bench.is_lost(0);
    bench.is_lost(1);
    assert_eq!(bench.states()[2], MemberState::OtherModel);
    bench.has(0, 1);
    assert_eq!(bench.states()[0], MemberState::Ready);
    // One that loads without end does not keep the others from the next model for longer.
    let bench = Bench::new(2);
    bench.has(0, 1);
    bench.has(1, 1);
    bench.pool.set(bench.ids[0], Status::Loading);
    bench.has(1, 7);
    assert_eq!(bench.states(), [MemberState::Loading, MemberState::Ready]);
}

#[test]
fn one_that_computes_otherwise_is_not_used_whenever_it_came() {
    let bench = Bench::new(3);
    bench.pool.set(bench.ids[0], ready(1, 0.5));
    bench.has(1, 1);
    bench.has(2, 1);
    assert_eq!(bench.states(), [MemberState::Failed, MemberState::Ready, MemberState::Ready]);
}

#[test]
fn who_fails_a_request_is_not_asked_next_and_pauses() {
    let bench = Bench::ready(2);
    let first = bench.slot(Kind::Image).member;
    let second = bench.pool.other(&[first], Kind::Image).unwrap().member;
    assert_ne!(first, second);
    assert!(bench.pool.other(&[first, second], Kind::Image).is_none());
    let pauses: Vec<Duration> = (0..2).map(|_| bench.pool.strike(first, "it is full")).collect();
    assert_eq!(pauses, [Duration::from_millis(100), Duration::ZERO], "one cause fails all that it has");
    let states = bench.states();
    assert_eq!(states.iter().filter(|state| **state == MemberState::Failed).count(), 1);
    assert!((0..8).all(|_| bench.slot(Kind::Image).member == second));
}

#[test]
fn the_embedder_of_this_machine_decides() {
    let pool = Pool::new(Reference::Of(MemberId(0)));
    let local = pool.add("local".to_owned(), String::new());
    let others = [1, 2].map(|_| pool.add("other".to_owned(), String::new()));
    others.iter().for_each(|id| pool.set(*id, ready(7, 1.0)));
    pool.decide();
    assert!(pool.model().is_none() && pool.is_starting());
    pool.set(local, ready(1, 1.0));
    assert_eq!(pool.model().unwrap().fingerprint, ModelFingerprint::from_bytes([1; 32]));
    // Its model stays the reference while it is away.
    others.iter().for_each(|id| pool.set(*id, ready(1, 1.0)));
    pool.set(local, Status::Unreachable("it died".to_owned()));
    assert!(pool.model().is_some());
}

#[test]
fn a_first_answer_is_awaited_for_some_time_only() {
    let bench = Bench::new(2);
    bench.has(0, 1);
    assert!(bench.pool.model().is_none());
    bench.pool.decide();
    assert!(bench.pool.model().is_some());
}

#[test]
fn a_request_alone_has_its_embedder_for_itself() {
    let bench = Bench::ready(1);
    let other = bench.slot(Kind::Image);
    assert!(bench.pool.alone(bench.ids[0], Kind::Image).is_none());
    let mut waiter = bench.waiter(0, Kind::Text);
    assert!(waiter.poll().is_none(), "nothing is given to it meanwhile");
    drop(other);
    let alone = bench.pool.alone(bench.ids[0], Kind::Image).unwrap();
    assert!(waiter.poll().is_none());
    drop(alone);
    assert!(waiter.poll().is_none());
    bench.pool.release(bench.ids[0]);
    assert!(waiter.poll().is_some());
}

#[test]
fn a_lost_way_takes_only_its_own_connection_along() {
    let bench = Bench::ready(1);
    bench.pool.lose(bench.ids[0], &"an earlier one", Status::Unreachable("cut off".to_owned()));
    assert_eq!(bench.states(), [MemberState::Ready]);
    bench.pool.lose(bench.ids[0], &"way", Status::Unreachable("cut off".to_owned()));
    assert_eq!(bench.states(), [MemberState::Unreachable]);
    assert_eq!(bench.pool.members()[0].failures, 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_without_an_embedder_is_limited() {
    let bench = Bench::ready(1);
    let limit = Duration::from_secs(10);
    let waits = bench.pool.unusable_for(limit);
    tokio::pin!(waits);
    assert!(tokio::time::timeout(limit * 5, &mut waits).await.is_err());
    bench.is_lost(0);
    assert!(tokio::time::timeout(limit + Duration::from_secs(1), &mut waits).await.is_ok());
}
