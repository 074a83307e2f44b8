//! The embedders, the requests that wait for one, and who gets which. Knows neither addresses nor connections: what reaches an
//! embedder is the type `Way`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedder::{DIMENSION, ErrorKind, Member, MemberState, Model, ModelFingerprint};
use tokio::sync::{oneshot, watch};

use super::window::Window;
use crate::front::answers::ClientNumber;
use crate::front::round_robin::RoundRobin;

/// Texts that an embedder is given at the same time.
const TEXTS: u32 = 32;
/// What another text adds to the time until one is answered, as far as choosing between near and far embedders goes.
const TEXT_TIME: Duration = Duration::from_millis(2);

/// The pause of an embedder that has failed a request: doubles from the first to the second with each further one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// The least cosine between the embeddings of one text by two embedders with one model.
const ALIKE: f64 = 0.999;

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
        /// Its embedding of a text that all are asked for.
        probe: Arc<[f32; DIMENSION]>,
    },
    /// It cannot be reached.
    Unreachable(String),
    /// It has no usable model, or has sent wrong answers.
    Failed(ErrorKind, String),
}

impl<Way> Status<Way> {
    fn is_lost(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Failed(..))
    }
}

/// Whose model the others must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// This embedder's.
    Of(MemberId),
    /// That of most embedders, when each has been tried or the time for that is over. It is kept until none of them has had it
    /// for this time.
    OfMost(Duration),
}

/// The embedders and the requests that wait.
pub struct Pool<Way: Clone + PartialEq> {
    state: Mutex<State<Way>>,
    /// Since when no embedder can be used; `None` while one can.
    idle_since: watch::Sender<Option<Instant>>,
    /// Requests that wait for a place.
    waiters: AtomicUsize,
}

/// A request that waits, until dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin<Way: Clone + PartialEq>(pool: &'a Pool<Way>) -> Self {
        pool.waiters.fetch_add(1, Ordering::Relaxed);
        Self(&pool.waiters)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct State<Way: Clone + PartialEq> {
    members: BTreeMap<MemberId, Entry<Way>>,
    next: u64,
    images: Line<Way>,
    texts: Line<Way>,
    rule: Reference,
    reference: Option<Referent>,
    /// When an embedder was seen last that is like the reference.
    seen: Instant,
    /// Every embedder had its time for a first answer.
    decided: bool,
}

type Line<Way> = RoundRobin<ClientNumber, oneshot::Sender<Slot<Way>>>;

/// What embedders must be like.
#[derive(Clone)]
struct Referent {
    model: ModelFingerprint,
    probe: Arc<[f32; DIMENSION]>,
}

impl Referent {
    fn computes_like(&self, probe: &[f32; DIMENSION]) -> bool {
        let products = self.probe.iter().zip(probe).map(|(one, other)| f64::from(*one) * f64::from(*other));
        products.sum::<f64>() >= ALIKE
    }
}

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
    /// Requests that it has failed since it answered one.
    strikes: u32,
    /// Until when it is given nothing, and why.
    paused: Option<(Instant, String)>,
    /// The recent time until an answer.
    latency: Duration,
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

    fn is_untried(&self) -> bool {
        matches!(self.status, Status::Connecting | Status::Loading)
    }

    /// How long another image would take.
    fn until_image(&self) -> Duration {
        self.round_trip + self.window.per_image() * (self.images + 1)
    }

    fn is_paused(&self) -> bool {
        self.paused.as_ref().is_some_and(|(until, _)| *until > Instant::now())
    }

    fn referent(&self) -> Option<Referent> {
        match &self.status {
            Status::Ready { model, probe, .. } => Some(Referent { model: model.fingerprint, probe: Arc::clone(probe) }),
            _ => None,
        }
    }

    fn is_like(&self, reference: &Referent) -> bool {
        self.referent().is_some_and(|own| own.model == reference.model && reference.computes_like(&own.probe))
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
    /// The recent time until an answer; zero before the first.
    pub usual: Duration,
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
            seen: Instant::now(),
            decided: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            idle_since: watch::Sender::new(Some(Instant::now())),
            waiters: AtomicUsize::new(0),
        })
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
                strikes: 0,
                paused: None,
                latency: Duration::ZERO,
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
                entry.failures += u64::from(status.is_lost() && !entry.status.is_lost());
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

    /// Looks at what only time changes: pauses that are over, a model that none has had for long.
    pub fn tick(self: &Arc<Self>) {
        self.change(|_| ());
    }

    /// An embedder has failed a request that it could have answered: it gets nothing for the time that is returned. Call
    /// [`tick`](Self::tick) then.
    pub fn strike(self: &Arc<Self>, id: MemberId, why: &str) -> Duration {
        let mut pause = Duration::ZERO;
        self.change(|state| {
            if let Some(entry) = state.members.get_mut(&id) {
                entry.failures += 1;
                if entry.is_paused() {
                    // One cause fails all that it has.
                    return;
                }
                if entry.paused.as_ref().is_some_and(|(until, _)| until.elapsed() > PAUSE.1) {
                    entry.strikes = 0;
                }
                pause = (PAUSE.0 * 2_u32.pow(entry.strikes.min(20))).min(PAUSE.1);
                entry.paused = Some((Instant::now() + pause, why.to_owned()));
                entry.strikes += 1;
            }
        });
        pause
    }

    /// The time for a first answer of each embedder is over.
    pub fn decide(self: &Arc<Self>) {
        self.change(|state| state.decided = true);
    }

    /// A place for a request of a client, as soon as there is one. Clients take turns. Drop the future to give up.
    pub async fn slot(self: &Arc<Self>, client: ClientNumber, kind: Kind) -> Slot<Way> {
        let _waits = Waits::begin(self);
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

    /// A place at another embedder than those, at once and beyond its window; `None` if no other can be used.
    pub fn other(self: &Arc<Self>, than: &[MemberId], kind: Kind) -> Option<Slot<Way>> {
        let mut state = self.lock();
        let others = state.usable().filter(|(id, entry)| !than.contains(id) && !entry.reserved);
        let id = others.min_by_key(|(_, entry)| entry.until_image()).map(|(id, _)| id)?;
        state.place(self, id, kind)
    }

    /// Whether another embedder than those can be used.
    pub fn has_other(&self, than: &[MemberId]) -> bool {
        self.lock().usable().any(|(id, _)| !than.contains(&id))
    }

    /// A place at this embedder for a request that has it for itself: nothing more is given to it. `None` while others have a
    /// place there, or it cannot be used.
    pub fn alone(self: &Arc<Self>, id: MemberId, kind: Kind) -> Option<Slot<Way>> {
        let mut state = self.lock();
        let state = &mut *state;
        let entry = state.members.get_mut(&id)?;
        entry.reserved = true;
        if entry.in_flight() > 0 || !state.reference.as_ref().is_some_and(|reference| entry.is_like(reference)) {
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
            .map(|member| match &member.problem {
                Some(problem) => format!("{}: {problem}", member.place()),
                None => format!("{}: {}", member.name, member.state),
            })
            .collect();
        if problems.is_empty() { "no embedder is known".to_owned() } else { problems.join("; ") }
    }

    /// The model of the embedders that are used.
    pub fn model(&self) -> Option<Model> {
        let state = self.lock();
        state.alike().next().and_then(|(_, entry)| entry.model().cloned())
    }

    /// Whether no embedder has had its time yet.
    pub fn is_starting(&self) -> bool {
        let state = self.lock();
        match state.rule {
            Reference::Of(id) => state.members.get(&id).is_some_and(Entry::is_untried),
            Reference::OfMost(_) => !state.decided || state.members.values().any(Entry::is_untried),
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
        let in_flight: u32 = self.lock().members.values().map(Entry::in_flight).sum();
        self.waiters.load(Ordering::Relaxed) + in_flight as usize
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
                Status::Ready { model, .. } => match &state.reference {
                    Some(reference) if reference.model != model.fingerprint => (
                        MemberState::OtherModel,
                        Some(format!("its model is {}, that of the others {}", model.fingerprint, reference.model)),
                    ),
                    Some(reference) if !entry.is_like(reference) => {
                        let why = "its embedding of a text differs from that of others with the same model";
                        (MemberState::Failed, Some(why.to_owned()))
                    }
                    Some(_) => match &entry.paused {
                        Some((until, why)) if *until > Instant::now() => (MemberState::Failed, Some(why.clone())),
                        _ => (MemberState::Ready, None),
                    },
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
        // Those who have given up stay in their lines until then.
        let (in_lines, wait) = (state.images.len() + state.texts.len(), self.waiters.load(Ordering::Relaxed));
        if in_lines > 2 * wait + 64 {
            state.images.retain(|sender| !sender.is_closed());
            state.texts.retain(|sender| !sender.is_closed());
        }
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
                if let Some(own) = self.members.get(&id).and_then(Entry::referent) {
                    self.reference = Some(own);
                }
            }
            Reference::OfMost(keep) => {
                let ready: Vec<Referent> = self.members.values().filter_map(Entry::referent).collect();
                let like = |of: &Referent| {
                    ready.iter().filter(|own| own.model == of.model && of.computes_like(&own.probe)).count()
                };
                match &self.reference {
                    Some(reference) if like(reference) > 0 => self.seen = Instant::now(),
                    Some(_) if self.seen.elapsed() < keep => {}
                    None if !self.decided && self.members.values().any(Entry::is_untried) => {}
                    // The first of those with the most.
                    _ => {
                        if let Some(most) = ready.iter().rev().max_by_key(|own| like(own)) {
                            self.reference = Some(most.clone());
                            self.seen = Instant::now();
                        }
                    }
                }
            }
        }
    }

    /// The embedders that are like the reference.
    fn alike(&self) -> impl Iterator<Item = (MemberId, &Entry<Way>)> {
        let fits = |entry: &Entry<Way>| self.reference.as_ref().is_some_and(|reference| entry.is_like(reference));
        self.members.iter().map(|(id, entry)| (*id, entry)).filter(move |(_, entry)| fits(entry))
    }

    /// Those of them that are not paused, whether they have room or not.
    fn usable(&self) -> impl Iterator<Item = (MemberId, &Entry<Way>)> {
        self.alike().filter(|(_, entry)| !entry.is_paused())
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
        free.min_by_key(|(_, entry)| entry.until_image()).map(|(id, _)| id)
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
        let Status::Ready { way, model, .. } = &entry.status else { return None };
        let (way, model, usual) = (way.clone(), model.fingerprint, entry.latency);
        match kind {
            Kind::Image => entry.images += 1,
            Kind::Text => entry.texts += 1,
        }
        let in_flight = entry.images;
        Some(Slot {
            pool: Some(Arc::clone(pool)),
            member: id,
            way,
            model,
            kind,
            in_flight,
            usual,
            began: Instant::now(),
        })
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
            let time = self.began.elapsed();
            entry.latency = if entry.latency.is_zero() { time } else { (entry.latency * 9 + time) / 10 };
            match self.kind {
                Kind::Text => entry.answered_texts += 1,
                Kind::Image => {
                    entry.answered_images += 1;
                    // An embedder that answers texts may yet fail images.
                    entry.strikes = 0;
                    entry.window.measured(time, self.in_flight, entry.round_trip);
                }
            }
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
