//! Requests to the embedder, over one connection per call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use embedder::{Client, Embedded, Error, ErrorKind, Input, ModelFingerprint};
use tokio::task::JoinSet;

use crate::api::wait::attempts;
use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::platform;
use crate::postgres::vector::Vector;
use crate::settings;
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
    let answer = ask(vec![input], Duration::ZERO)?.map_err(|refused| Failure::from(refused.error))?;
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
    let answers = ask(inputs, BUSY_PATIENCE)?.map_err(|Refused { index, error }| {
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

/// Sends all inputs to the embedder, and starts its supervisor if none runs.
fn ask(inputs: Vec<Input>, patience: Duration) -> Result<Result<Vec<Embedded>, Refused>, Failure> {
    settings::required_model_dir()?;
    let inputs: Arc<[Input]> = inputs.into();
    let answers = attempts(Instant::now() + SUPERVISOR_PATIENCE, || {
        let inputs = inputs.clone();
        let answers = block_on(move || async move {
            Ok::<_, Failure>(match Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await {
                Ok(client) => pipelined(&client, &inputs, patience).await,
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
async fn pipelined(client: &Client, inputs: &Arc<[Input]>, patience: Duration) -> Result<Vec<Embedded>, Refused> {
    let mut answers: Vec<Option<Embedded>> = inputs.iter().map(|_| None).collect();
    // Dropped with its requests; the embedder skips those that it has not begun.
    let mut under_way = JoinSet::new();
    let mut indexes = 0..inputs.len();
    loop {
        for index in indexes.by_ref().take(IN_FLIGHT - under_way.len()) {
            let (client, input) = (client.clone(), inputs[index].clone());
            under_way.spawn(async move { (index, client.embed(input, patience).await) });
        }
        match under_way.join_next().await {
            Some(Ok((index, Ok(embedded)))) => answers[index] = Some(embedded),
            Some(Ok((index, Err(error)))) => return Err(Refused { index, error }),
            // A task that panicked has no answer.
            Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
            None => return Ok(answers.into_iter().flatten().collect()),
        }
    }
}
