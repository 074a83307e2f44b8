//! Requests to the embedder, over one connection for each call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use embedder::{Animations, Client, Embedded, Error, ErrorKind, ModelFingerprint};
use tokio::task::JoinSet;

use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::vector::Vector;
use crate::postgres::{platform, threads};
use crate::settings;
use crate::workers::registry;

/// How long a supervisor that has just been asked for may take to listen.
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Requests of one call without an answer. The embedder reads no more of one connection before it has answered some.
const IN_FLIGHT: usize = 64;
/// How long one request of many waits while the embedder is busy with others', instead of failing the rest.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// What to embed. Cheap to clone.
#[derive(Clone)]
pub enum Input {
    /// An encoded picture, and what becomes of an animation.
    Image(Bytes, Animations),
    /// A text.
    Text(String),
}

/// What the embedder refused: the input's place among all, and why.
struct Refused {
    place: usize,
    error: Error,
}

/// The embedding of one input.
pub fn one(input: Input) -> Result<Vector, Failure> {
    let answer = ask(vec![input], Duration::ZERO)?.map_err(|refused| Failure::from(refused.error))?;
    let embedded = answer.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "one input has no answer"))?;
    Vector::new(embedded.vector)
}

/// The embeddings of all inputs, in their order. A refusal names the element where it is to blame.
pub fn all(inputs: Vec<Option<Input>>) -> Result<Vec<Option<Vector>>, Failure> {
    let places: Vec<usize> = (0..inputs.len()).filter(|&place| inputs[place].is_some()).collect();
    let mut vectors = vec![None; inputs.len()];
    if places.is_empty() {
        return Ok(vectors);
    }
    let (answers, _) = by_one_model(inputs.into_iter().flatten().collect(), &|place| places[place])?;
    for (place, answer) in places.iter().zip(answers) {
        vectors[*place] = Some(answer);
    }
    Ok(vectors)
}

/// The embeddings of all inputs, of which there is at least one, and the model that made them.
pub fn all_by_one_model(inputs: Vec<Input>) -> Result<(Vec<Vector>, ModelFingerprint), Failure> {
    by_one_model(inputs, &|place| place)
}

/// Asks with patience, and refuses answers of different models. `element` tells an input's place in the caller's array.
fn by_one_model(
    inputs: Vec<Input>,
    element: &dyn Fn(usize) -> usize,
) -> Result<(Vec<Vector>, ModelFingerprint), Failure> {
    let answers = ask(inputs, BUSY_PATIENCE)?.map_err(|Refused { place, error }| {
        let to_blame = error.is_input();
        let failure = Failure::from(error);
        if to_blame { failure.at_element(element(place) + 1) } else { failure }
    })?;
    let Some(model) = answers.first().map(|answer| answer.model) else {
        return Err(Failure::new(Kind::Internal, "an input has no answer"));
    };
    if answers.iter().any(|answer| answer.model != model) {
        return Err(Failure::new(Kind::NotReady, "the model was replaced during the call").with_hint("Call again."));
    }
    let vectors = answers.into_iter().map(|answer| Vector::new(answer.vector)).collect::<Result<_, _>>()?;
    Ok((vectors, model))
}

/// Asks the embedder, starting its supervisor where none runs.
fn ask(inputs: Vec<Input>, patience: Duration) -> Result<Result<Vec<Embedded>, Refused>, Failure> {
    settings::required_model_dir()?;
    let inputs: Arc<[Input]> = inputs.into();
    let until = Instant::now() + SUPERVISOR_PATIENCE;
    loop {
        let inputs = inputs.clone();
        let answers = block_on(move || async move {
            Ok::<_, Failure>(match Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await {
                Ok(client) => pipelined(&client, &inputs, patience).await,
                Err(error) => Err(Refused { place: 0, error }),
            })
        })?;
        let unavailable = matches!(&answers, Err(refused) if refused.error.kind() == ErrorKind::Unavailable);
        if !unavailable {
            return Ok(answers);
        }
        if Instant::now() >= until {
            return Err(Failure::new(Kind::NotReady, "the embedder does not start")
                .with_hint("The server log says why; SELECT * FROM pinterest_doctor() checks the usual reasons."));
        }
        registry::ensure_supervisor()?;
        threads::wait(None, Some(LOOK_AGAIN));
    }
}

/// The answers in the order of the inputs, or the first refusal that comes.
async fn pipelined(client: &Client, inputs: &Arc<[Input]>, patience: Duration) -> Result<Vec<Embedded>, Refused> {
    let mut answers: Vec<Option<Embedded>> = inputs.iter().map(|_| None).collect();
    // Dropped with the requests that are under way: the embedder skips what it has not begun.
    let mut under_way = JoinSet::new();
    let mut places = 0..inputs.len();
    loop {
        for place in places.by_ref().take(IN_FLIGHT - under_way.len()) {
            let (client, input) = (client.clone(), inputs[place].clone());
            under_way.spawn(async move { (place, patiently(&client, input, patience).await) });
        }
        match under_way.join_next().await {
            Some(Ok((place, Ok(embedded)))) => answers[place] = Some(embedded),
            Some(Ok((place, Err(error)))) => return Err(Refused { place, error }),
            // Whoever panicked has no answer.
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => return Ok(answers.into_iter().flatten().collect()),
        }
    }
}

/// Asks again for as long as the embedder is busy and patience lasts.
async fn patiently(client: &Client, input: Input, patience: Duration) -> Result<Embedded, Error> {
    let until = Instant::now() + patience;
    loop {
        let answer = match input.clone() {
            Input::Image(image, animations) => client.embed_image(image, animations).await,
            Input::Text(text) => client.embed_text(text).await,
        };
        match answer {
            Err(error) if error.kind() == ErrorKind::Busy && Instant::now() < until => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            answer => return answer,
        }
    }
}
