//! Requests to the embedder, over one connection per call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use embedder::{Client, Embedded, Error, ErrorKind, Input, ModelFingerprint};
use tokio::task::JoinSet;

use crate::api::wait::attempts;
use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::platform;
use crate::postgres::threads::WaitEvent;
use crate::postgres::vector::Vector;
use crate::settings;
use crate::statistics::{self, Counter, Image, Source};
use crate::workers::registry;

/// The time within which a supervisor that was just requested has to listen.
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(10);
/// The number of requests of one call that are sent before an answer comes. The embedder reads no more of one connection
/// before it has answered some.
const IN_FLIGHT: usize = 64;
/// The time for which one request of many waits while the embedder is busy, before the whole call fails.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);

/// An input that the embedder refused.
struct Refused {
    /// The index of the input.
    index: usize,
    error: Error,
}

/// The embedding of one input.
///
/// # Errors
///
/// Those of the embedder; NotReady if it does not start.
pub fn one(input: Input) -> Result<Vector, Failure> {
    let answer = embeddings(vec![input], Duration::ZERO)?.map_err(|refused| Failure::from(refused.error))?;
    let embedded = answer.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "one input has no answer"))?;
    Vector::new(embedded.vector)
}

/// The embeddings of all inputs, in their order.
///
/// # Errors
///
/// Those of [`one`], with the element's number if the element is the cause; NotReady if the model was replaced meanwhile.
pub fn all(inputs: Vec<Option<Input>>) -> Result<Vec<Option<Vector>>, Failure> {
    let indexes: Vec<usize> = (0..inputs.len()).filter(|&index| inputs[index].is_some()).collect();
    let mut vectors = vec![None; inputs.len()];
    if indexes.is_empty() {
        return Ok(vectors);
    }
    let (answers, _) = by_one_model(inputs.into_iter().flatten().collect(), &|index| indexes[index])?;
    for (index, answer) in indexes.into_iter().zip(answers) {
        vectors[index] = Some(answer);
    }
    Ok(vectors)
}

/// The embeddings of all inputs (at least one), and the model that computed them.
///
/// # Errors
///
/// Those of [`all`].
pub fn all_by_one_model(inputs: Vec<Input>) -> Result<(Vec<Vector>, ModelFingerprint), Failure> {
    by_one_model(inputs, &|index| index)
}

/// Waits for a busy embedder, and refuses answers of different models. `element` maps an input's index to its index in the
/// caller's array.
fn by_one_model(
    inputs: Vec<Input>,
    element: &dyn Fn(usize) -> usize,
) -> Result<(Vec<Vector>, ModelFingerprint), Failure> {
    let answers = embeddings(inputs, BUSY_PATIENCE)?.map_err(|Refused { index, error }| {
        let is_input = error.is_input();
        let failure = Failure::from(error);
        if is_input { failure.at_element(element(index) + 1) } else { failure }
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

fn embeddings(inputs: Vec<Input>, patience: Duration) -> Result<Result<Vec<Embedded>, Refused>, Failure> {
    ask(inputs, move |client, input| counted(client, input, patience))
}

/// Thumbnails of images, each with the longest side in pixels, in their order; `None` for an image of which none can be
/// made.
///
/// # Errors
///
/// Those of the embedder that do not concern a single image; NotReady if it does not start.
pub fn thumbnails(images: Vec<(Bytes, u16)>) -> Result<Vec<Option<Bytes>>, Failure> {
    let answers = ask(images, |client, (image, side)| async move {
        match client.thumbnail(image, side, BUSY_PATIENCE).await {
            Ok(thumbnail) => Ok(Some(thumbnail).filter(|thumbnail| !thumbnail.is_empty())),
            Err(error) if error.is_input() => Ok(None),
            Err(error) => Err(error),
        }
    })?;
    answers.map_err(|refused| refused.error.into())
}

/// Sends all inputs to the embedder, and starts its supervisor if none runs.
fn ask<Input, Answer, Request>(
    inputs: Vec<Input>,
    request: impl Fn(Client, Input) -> Request + Copy + Send + 'static,
) -> Result<Result<Vec<Answer>, Refused>, Failure>
where
    Input: Clone + Send + Sync + 'static,
    Answer: Send + 'static,
    Request: Future<Output = Result<Answer, Error>> + Send + 'static,
{
    settings::require_embedder()?;
    // Without the counters it works as well.
    let _ = statistics::attach();
    let inputs: Arc<[Input]> = inputs.into();
    let answers = attempts(Instant::now() + SUPERVISOR_PATIENCE, || {
        let inputs = inputs.clone();
        let answers = block_on(WaitEvent::Embedder, move || async move {
            Ok::<_, Failure>(match Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await {
                Ok(client) => pipelined(&client, &inputs, request).await,
                Err(error) => Err(Refused { index: 0, error }),
            })
        })?;
        match answers {
            Err(refused) if refused.error.kind() == ErrorKind::Unavailable => {
                registry::ensure_supervisor()?;
                Ok(None)
            }
            answers => Ok(Some(answers)),
        }
    })?;
    answers.ok_or_else(|| {
        Failure::new(Kind::NotReady, "the embedder did not start")
            .with_hint("See the server log for the reason. SELECT * FROM pinterest_doctor() checks the usual ones.")
    })
}

/// The answers in the order of the inputs, or the first refusal.
async fn pipelined<Input, Answer, Request>(
    client: &Client,
    inputs: &Arc<[Input]>,
    request: impl Fn(Client, Input) -> Request,
) -> Result<Vec<Answer>, Refused>
where
    Input: Clone,
    Answer: Send + 'static,
    Request: Future<Output = Result<Answer, Error>> + Send + 'static,
{
    let mut answers: Vec<Option<Answer>> = inputs.iter().map(|_| None).collect();
    // Dropped with its requests; the embedder skips those that it has not begun.
    let mut under_way = JoinSet::new();
    let mut indexes = 0..inputs.len();
    loop {
        for index in indexes.by_ref().take(IN_FLIGHT - under_way.len()) {
            let answer = request(client.clone(), inputs[index].clone());
            under_way.spawn(async move { (index, answer.await) });
        }
        match under_way.join_next().await {
            Some(Ok((index, Ok(answer)))) => answers[index] = Some(answer),
            Some(Ok((index, Err(error)))) => return Err(Refused { index, error }),
            // A task that panicked has no answer.
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => return Ok(answers.into_iter().flatten().collect()),
        }
    }
}

/// Counts images.
async fn counted(client: Client, input: Input, patience: Duration) -> Result<Embedded, Error> {
    let is_image = !matches!(input, Input::Text(_));
    let began = Instant::now();
    let answer = client.embed(input, patience).await;
    let count = |counter| statistics::add(Counter::Image(Source::Call, counter), 1);
    match &answer {
        _ if !is_image => {}
        Ok(_) => {
            count(Image::Embedded);
            statistics::add_time(Counter::Image(Source::Call, Image::EmbedTime), began.elapsed());
        }
        Err(error) if error.is_input() => count(Image::Failed),
        Err(_) => {}
    }
    answer
}
