//! The embedders, the requests that wait for one, and who gets which. Knows neither addresses nor connections: what reaches an
//! embedder is the type `Way`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedder::{ErrorKind, Member, MemberState, Model, ModelFingerprint};
use tokio::sync::{oneshot, watch};

use super::window::Window;
use crate::front::answers::ClientNumber;
use crate::front::round_robin::RoundRobin;

/// Texts that an embedder is given at the same time.
const TEXTS: u32 = 32;
/// What another text adds to the time until one is answered, as far as choosing between near and far embedders goes.
const TEXT_TIME: Duration = Duration::from_millis(2);

/// Identifies an embedder of the pool. In the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Image,
    Text,
}

/// The state of an embedder, as its connection sees it.
#[derive(Clone)]
pub enum Status<Way> {
    /// The first attempt to connect has not ended.
    Connecting,
    /// It answers, but has not loaded its model.
    Loading,
    /// It has a model.
    Ready {
        /// How requests are sent to it.
        way: Way,
        model: Box<Model>,
    },
    /// It cannot be reached.
    Unreachable(String),
    /// It has no usable model, or has sent wrong answers.
    Failed(ErrorKind, String),
}

/// Whose model the others must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// This embedder's.
    Of(MemberId),
    /// That of most embedders, when each has been tried or the time for that is over. It is kept as long as one of them has it.
    OfMost,
}

/// The embedders and the requests that wait.
pub struct Pool<Way: Clone + PartialEq> {
    state: Mutex<State<Way>>,
    /// Since when no embedder can be used; `None` while one can.
    idle_since: watch::Sender<Option<Instant>>,
}

struct State<Way: Clone + PartialEq> {
    members: BTreeMap<MemberId, Entry<Way>>,
    next: u64,
    images: Line<Way>,
    texts: Line<Way>,
    rule: Reference,
    reference: Option<ModelFingerprint>,
    /// Every embedder had its time for a first answer.
    decided: bool,
}

type Line<Way> = RoundRobin<ClientNumber, oneshot::Sender<Slot<Way>>>;

struct Entry<Way> {
    name: String,
    address: String,
    status: Status<Way>,
    round_trip: Duration,
    window: Window,
    images: u32,
    texts: u32,
    /// One request has it for itself.
    reserved: bool,
    answered_images: u64,
    answered_texts: u64,
    failures: u64,
    /// When it answered last, or was given a request while it had none.
    progress: Instant,
}

impl<Way> Entry<Way> {
    fn in_flight(&self) -> u32 {
        self.images + self.texts
    }

    fn model(&self) -> Option<&Model> {
        match &self.status {
            Status::Ready { model, .. } => Some(model),
            _ => None,
        }
    }
}

/// A request's place at an embedder, until dropped.
pub struct Slot<Way: Clone + PartialEq> {
    pool: Option<Arc<Pool<Way>>>,
    pub member: MemberId,
    pub way: Way,
    /// The model of the embedder when it was chosen.
    pub model: ModelFingerprint,
    kind: Kind,
    in_flight: u32,
    began: Instant,
}

impl<Way: Clone + PartialEq> Pool<Way> {
    /// Without an embedder.
    pub fn new(rule: Reference) -> Arc<Self> {
        let state = State {
            members: BTreeMap::new(),
            next: 0,
            images: RoundRobin::default(),
            texts: RoundRobin::default(),
            rule,
            reference: None,
            decided: false,
        };
        Arc::new(Self { state: Mutex::new(state), idle_since: watch::Sender::new(Some(Instant::now())) })
    }

    /// Adds an embedder, which is being connected to.
    pub fn add(&self, name: String, address: String) -> MemberId {
        let mut state = self.lock();
        let id = MemberId(state.next);
        state.next += 1;
        state.members.insert(
            id,
            Entry {
                name,
                address,
                status: Status::Connecting,
                round_trip: Duration::ZERO,
                window: Window::new(),
                images: 0,
                texts: 0,
                reserved: false,
                answered_images: 0,
                answered_texts: 0,
                failures: 0,
                progress: Instant::now(),
            },
        );
        id
    }

    /// Removes an embedder that is no longer listed.
    pub fn remove(self: &Arc<Self>, id: MemberId) {
        self.change(|state| drop(state.members.remove(&id)));
    }

    /// Records the state of an embedder.
    pub fn set(self: &Arc<Self>, id: MemberId, status: Status<Way>) {
        self.change(|state| {
            if let Some(entry) = state.members.get_mut(&id) {
                let lost = matches!(status, Status::Unreachable(_) | Status::Failed(..));
                entry.failures +=
                    u64::from(lost && !matches!(entry.status, Status::Unreachable(_) | Status::Failed(..)));
                entry.status = status;
            }
        });
    }

    /// Whether `way` is how requests are sent to the embedder.
    pub fn is_used(&self, id: MemberId, way: &Way) -> bool {
        matches!(self.status(id), Some(Status::Ready { way: current, .. }) if current == *way)
    }

    /// Records that `way` has ended, if it is still the way to the embedder: nothing more is given to it.
    pub fn lose(self: &Arc<Self>, id: MemberId, way: &Way, status: Status<Way>) {
        if self.is_used(id, way) {
            self.set(id, status);
        }
    }

    /// Records the time to an embedder and back.
    pub fn set_round_trip(&self, id: MemberId, time: Duration) {
        if let Some(entry) = self.lock().members.get_mut(&id) {
            // The least is the way itself; more is the time that its answer waited.
            let known = if entry.round_trip.is_zero() { time } else { entry.round_trip };
            entry.round_trip = time.min(known * 5 / 4);
        }
    }

    /// For how long an embedder has had requests and answered none; zero if it has none.
    pub fn stalled(&self, id: MemberId) -> Duration {
        let state = self.lock();
        let busy = state.members.get(&id).filter(|entry| entry.in_flight() > 0);
        busy.map_or(Duration::ZERO, |entry| entry.progress.elapsed())
    }

    /// The time for a first answer of each embedder is over.
    pub fn decide(self: &Arc<Self>) {
        self.change(|state| state.decided = true);
    }

    /// A place for a request of a client, as soon as there is one. Clients take turns. Drop the future to give up.
    pub async fn slot(self: &Arc<Self>, client: ClientNumber, kind: Kind) -> Slot<Way> {
        loop {
            let (sender, slot) = oneshot::channel();
            self.change(|state| match kind {
                Kind::Image => state.images.push(client, sender),
                Kind::Text => state.texts.push(client, sender),
            });
            // An error would be a sender that was dropped without a slot, which does not happen.
            if let Ok(slot) = slot.await {
                return slot;
            }
        }
    }

    /// A place at another embedder than `not`, at once and beyond its window; `None` if no other can be used.
    pub fn second(self: &Arc<Self>, not: MemberId, kind: Kind) -> Option<Slot<Way>> {
        let mut state = self.lock();
        let id =
            state.usable().filter(|(id, _)| *id != not).min_by_key(|(_, entry)| entry.in_flight()).map(|(id, _)| id)?;
        state.place(self, id, kind)
    }

    /// A place at this embedder for a request that has it for itself: nothing more is given to it. `None` while others have a
    /// place there, or it cannot be used.
    pub fn alone(self: &Arc<Self>, id: MemberId, kind: Kind) -> Option<Slot<Way>> {
        let mut state = self.lock();
        let entry = state.members.get_mut(&id)?;
        entry.reserved = true;
        if entry.in_flight() > 0 || entry.model().map(|model| model.fingerprint) != state.reference {
            return None;
        }
        state.place(self, id, kind)
    }

    /// Ends what [`alone`](Self::alone) began.
    pub fn release(self: &Arc<Self>, id: MemberId) {
        self.change(|state| {
            if let Some(entry) = state.members.get_mut(&id) {
                entry.reserved = false;
            }
        });
    }

    /// Waits until no embedder has been usable for this time.
    pub async fn unusable_for(&self, limit: Duration) {
        let mut changes = self.idle_since.subscribe();
        loop {
            let since = *changes.borrow_and_update();
            let over = async {
                match since {
                    Some(since) => tokio::time::sleep_until((since + limit).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                // The sender is in `self`.
                _ = changes.changed() => {}
            }
        }
    }

    /// Why no embedder can be used, in words.
    pub fn problems(&self) -> String {
        let problems: Vec<String> = self
            .members()
            .into_iter()
            .filter(|member| member.state != MemberState::Ready)
            .map(|member| match (&member.problem, member.address.as_str()) {
                (Some(problem), "") => format!("{}: {problem}", member.name),
                (Some(problem), address) => format!("{} ({address}): {problem}", member.name),
                (None, _) => format!("{}: {}", member.name, member.state),
            })
            .collect();
        if problems.is_empty() { "no embedder is known".to_owned() } else { problems.join("; ") }
    }

    /// The model of the embedders that are used.
    pub fn model(&self) -> Option<Model> {
        let state = self.lock();
        state.usable().next().and_then(|(_, entry)| entry.model().cloned())
    }

    /// Whether no embedder has had its time yet.
    pub fn is_starting(&self) -> bool {
        let state = self.lock();
        let starts = |entry: &Entry<Way>| matches!(entry.status, Status::Connecting | Status::Loading);
        match state.rule {
            Reference::Of(id) => state.members.get(&id).is_some_and(starts),
            Reference::OfMost => !state.decided || state.members.values().any(starts),
        }
    }

    /// The kind of failure of the first embedder that has no usable model; `Unavailable` if there is none.
    pub fn failure(&self) -> ErrorKind {
        let state = self.lock();
        let mut kinds = state.members.values().filter_map(|entry| match entry.status {
            Status::Failed(kind, _) if kind != ErrorKind::Protocol => Some(kind),
            _ => None,
        });
        kinds.next().unwrap_or(ErrorKind::Unavailable)
    }

    /// The status of one embedder.
    pub fn status(&self, id: MemberId) -> Option<Status<Way>> {
        self.lock().members.get(&id).map(|entry| entry.status.clone())
    }

    /// Requests that wait for a place, and those that have one.
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        let in_flight: u32 = state.members.values().map(Entry::in_flight).sum();
        state.images.len() + state.texts.len() + in_flight as usize
    }

    /// All embedders and their states.
    pub fn members(&self) -> Vec<Member> {
        let state = self.lock();
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let member = |entry: &Entry<Way>| {
            let model = entry.model();
            let (of_member, problem) = match &entry.status {
                Status::Connecting => (MemberState::Connecting, None),
                Status::Loading => (MemberState::Loading, None),
                Status::Unreachable(why) => (MemberState::Unreachable, Some(why.clone())),
                Status::Failed(_, why) => (MemberState::Failed, Some(why.clone())),
                Status::Ready { model, .. } => match state.reference {
                    Some(reference) if reference == model.fingerprint => (MemberState::Ready, None),
                    Some(reference) => (
                        MemberState::OtherModel,
                        Some(format!("its model is {}, that of the others {reference}", model.fingerprint)),
                    ),
                    None => (MemberState::Connecting, Some("it waits for the others' first answers".to_owned())),
                },
            };
            Member {
                name: entry.name.clone(),
                address: entry.address.clone(),
                state: of_member,
                problem,
                fingerprint: model.map(|model| model.fingerprint),
                precision: model.map(|model| model.precision.clone()).unwrap_or_default(),
                kernels: model.map(|model| model.kernels.clone()).unwrap_or_default(),
                images: entry.answered_images,
                texts: entry.answered_texts,
                failures: entry.failures,
                in_flight: entry.in_flight(),
                window: entry.window.size(),
                round_trip_microseconds: micros(entry.round_trip),
                image_microseconds: micros(entry.window.per_image()),
            }
        };
        state.members.values().map(member).collect()
    }

    /// Changes the state, and gives free places to requests that wait.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State<Way>)) {
        let mut state = self.lock();
        change(&mut state);
        state.judge();
        state.give(self);
        let usable = state.usable().next().is_some();
        self.idle_since.send_if_modified(|since| {
            let changed = since.is_some() == usable;
            if changed {
                *since = (!usable).then(Instant::now);
            }
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, State<Way>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Way: Clone + PartialEq> State<Way> {
    /// Decides which model is the reference.
    fn judge(&mut self) {
        match self.rule {
            Reference::Of(id) => {
                if let Some(model) = self.members.get(&id).and_then(Entry::model) {
                    self.reference = Some(model.fingerprint);
                }
            }
            Reference::OfMost => {
                let tried = |entry: &Entry<Way>| !matches!(entry.status, Status::Connecting | Status::Loading);
                let ready: Vec<_> =
                    self.members.values().filter_map(Entry::model).map(|model| model.fingerprint).collect();
                let kept = self.reference.is_some_and(|reference| {
                    // An embedder that is away may come back with the same model.
                    ready.contains(&reference) || !self.members.values().all(tried)
                });
                if kept || ready.is_empty() || !(self.decided || self.members.values().all(tried)) {
                    return;
                }
                let votes = |of: &ModelFingerprint| ready.iter().filter(|other| *other == of).count();
                // The first of those with the most.
                self.reference = ready.iter().rev().max_by_key(|of| votes(of)).copied();
            }
        }
    }

    /// The embedders that have the reference's model, whether they have room or not.
    fn usable(&self) -> impl Iterator<Item = (MemberId, &Entry<Way>)> {
        let fits = |entry: &&Entry<Way>| {
            self.reference.is_some() && entry.model().map(|model| model.fingerprint) == self.reference
        };
        self.members.iter().map(|(id, entry)| (*id, entry)).filter(move |(_, entry)| fits(entry))
    }

    fn give(&mut self, pool: &Arc<Pool<Way>>) {
        while !self.texts.is_empty() {
            let Some(id) = self.nearest() else { break };
            let Some(sender) = self.texts.pop() else { break };
            self.hand_over(pool, sender, id, Kind::Text);
        }
        while !self.images.is_empty() {
            let Some(id) = self.soonest() else { break };
            let Some(sender) = self.images.pop() else { break };
            self.hand_over(pool, sender, id, Kind::Image);
        }
    }

    /// The embedder that answers the next text soonest: the nearest, unless it has many.
    fn nearest(&self) -> Option<MemberId> {
        let free = self.usable().filter(|(_, entry)| !entry.reserved && entry.texts < TEXTS);
        free.min_by_key(|(_, entry)| entry.round_trip + TEXT_TIME * entry.texts).map(|(id, _)| id)
    }

    /// The embedder that finishes the next image soonest, by its speed and by what it has; one whose speed is unknown first.
    fn soonest(&self) -> Option<MemberId> {
        let free = self.usable().filter(|(_, entry)| !entry.reserved && entry.images < entry.window.size());
        free.min_by_key(|(_, entry)| entry.round_trip + entry.window.per_image() * (entry.images + 1)).map(|(id, _)| id)
    }

    fn hand_over(&mut self, pool: &Arc<Pool<Way>>, to: oneshot::Sender<Slot<Way>>, id: MemberId, kind: Kind) {
        if to.is_closed() {
            return;
        }
        if let Some(slot) = self.place(pool, id, kind)
            && let Err(mut slot) = to.send(slot)
        {
            // Given up at this moment. Its drop would lock what is locked.
            slot.pool = None;
            self.leave(id, kind);
        }
    }

    /// Counts a request at an embedder.
    fn place(&mut self, pool: &Arc<Pool<Way>>, id: MemberId, kind: Kind) -> Option<Slot<Way>> {
        let entry = self.members.get_mut(&id)?;
        let Status::Ready { way, model } = &entry.status else { return None };
        let (way, model) = (way.clone(), model.fingerprint);
        if entry.in_flight() == 0 {
            entry.progress = Instant::now();
        }
        match kind {
            Kind::Image => entry.images += 1,
            Kind::Text => entry.texts += 1,
        }
        let in_flight = entry.images;
        Some(Slot { pool: Some(Arc::clone(pool)), member: id, way, model, kind, in_flight, began: Instant::now() })
    }

    fn leave(&mut self, id: MemberId, kind: Kind) {
        if let Some(entry) = self.members.get_mut(&id) {
            match kind {
                Kind::Image => entry.images -= 1,
                Kind::Text => entry.texts -= 1,
            }
        }
    }
}

impl<Way: Clone + PartialEq> Slot<Way> {
    /// The embedder has answered.
    pub fn answered(&self) {
        let Some(pool) = &self.pool else { return };
        if let Some(entry) = pool.lock().members.get_mut(&self.member) {
            entry.progress = Instant::now();
            match self.kind {
                Kind::Text => entry.answered_texts += 1,
                Kind::Image => {
                    entry.answered_images += 1;
                    entry.window.measured(self.began.elapsed(), self.in_flight, entry.round_trip);
                }
            }
        }
    }

    /// The embedder did not answer, and another one is asked.
    pub fn failed(&self) {
        if let Some(pool) = &self.pool
            && let Some(entry) = pool.lock().members.get_mut(&self.member)
        {
            entry.failures += 1;
        }
    }
}

impl<Way: Clone + PartialEq> Drop for Slot<Way> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.change(|state| state.leave(self.member, self.kind));
        }
    }
}

#[cfg(test)]
mod tests;
