//! The thread that owns the model.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use clip::{Embedding, Engine, Kernels, Options, TextEngine, Tokenizer};
use embedder::protocol::Response;
use embedder::{ErrorKind, Model, ModelFingerprint, ModelState};

use super::Shared;
use super::queue::{Batch, Decoded, Job};
use super::slot::Slot;
use super::turns::Turns;
use super::watchdog::Subject;
use crate::failure::Failure;
use crate::front::answers::Responder;
use crate::packing::Packing;
use crate::{inference, log, model, sandbox};

/// The tokens of the empty text.
const SHORTEST_TEXT: [u32; 2] = [49_406, 49_407];

struct Loaded {
    engine: Box<dyn Engine>,
    fingerprint: ModelFingerprint,
}

pub fn run(shared: &Shared, directory: PathBuf, options: &Options, packing: Packing) {
    let mut slot = Slot::new(directory);
    let tokenizer = thread::scope(|scope| {
        // Takes about as long as mapping a packed model.
        let tokenizer = scope.spawn(Tokenizer::new);
        packing.wait();
        // Loaded before the first request; a failure is reported to the requests that come.
        let _ = slot.get(Instant::now(), |directory| load(shared, directory, options));
        tokenizer.join().expect("the vocabulary is part of the program")
    });
    let _ = shared.first_load.set(());
    let mut turns = Turns::default();
    loop {
        let batch = shared.queue.next_batch();
        match slot.get(Instant::now(), |directory| load(shared, directory, options)) {
            // Requests that wait are not answered. Their clients send them again, to the next process.
            Ok(loaded) if !loaded.engine.is_current() => {
                drop(batch);
                shared.end_for_successor("the packed weights were changed while in use");
            }
            Ok(loaded) => match batch {
                Batch::Images(jobs) => embed_images(shared, loaded, &tokenizer, &mut turns, jobs),
                Batch::Texts(jobs) => {
                    embed_texts(shared, &mut *loaded.engine, loaded.fingerprint, &tokenizer, &mut turns, jobs);
                }
            },
            Err(_) if !shared.readable.include_the_model() => {
                drop(batch);
                shared.end_for_successor("the model directory was replaced");
            }
            Err(failure) => match batch {
                Batch::Images(jobs) => refuse(jobs, &failure),
                Batch::Texts(jobs) => refuse(jobs, &failure),
            },
        }
    }
}

/// Loads the model and records the result for [`Info`](embedder::Info).
fn load(shared: &Shared, directory: &Path, options: &Options) -> Result<Loaded, Failure> {
    *shared.model_state() = ModelState::Loading;
    let result = model::load(directory, options);
    if let Ok((_, Model { name, precision, kernels, notice, .. })) = &result {
        log::line(format_args!("loaded model {name}: {precision} by kernels {kernels}"));
        if let Some(notice) = notice {
            log::line(format_args!("{notice}"));
        }
    }
    *shared.model_state() = match &result {
        Ok((_, model)) => ModelState::Ready(model.clone()),
        Err(Failure { kind, message }) => ModelState::Failed { kind: *kind, message: message.clone() },
    };
    shared.queue.announce();
    let (mut engine, Model { fingerprint, .. }) = result?;
    seal(shared, &mut *engine);
    shared.queue.set_batches_pay(engine.info().kernels == Kernels::Candle);
    Ok(Loaded { engine, fingerprint })
}

/// Gives up opening files, the model's included.
fn seal(shared: &Shared, engine: &mut dyn Engine) {
    if !shared.sandbox().seccomp {
        return;
    }
    if engine.info().kernels == Kernels::Candle {
        // With its first product it starts threads and reads the sizes of caches.
        let _ = engine.embed_texts(&[SHORTEST_TEXT.to_vec()]);
    }
    match sandbox::seal() {
        Ok(()) => shared.sandbox().sealed = true,
        Err(error) => log::line(format_args!("could not give up the right to open files: {error}")),
    }
}

fn embed_images(
    shared: &Shared,
    loaded: &mut Loaded,
    tokenizer: &Tokenizer,
    turns: &mut Turns,
    jobs: Vec<Job<Decoded>>,
) {
    let Loaded { engine, fingerprint } = loaded;
    let digests = jobs.iter().map(|job| job.input.sha256).collect();
    let (images, responders): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .map(|job| (job.input.pixels, (job.responder, job.input.animated, job.input.thumbnail)))
        .unzip();
    let watched = shared.watchdog.watch(Subject::Images(digests));
    let (began, texts_before) = (Instant::now(), turns.texts());
    #[cfg(feature = "fault-injection")]
    crate::fault::wait_for_images(images.len());
    let results = inference::embed_images_with_breaks(&mut **engine, &images, &mut |engine| {
        if !turns.is_texts(Instant::now()) {
            return;
        }
        let texts = shared.queue.texts_at_break();
        if !texts.is_empty() {
            // A panic here must not count as one of the pass, whose images would be computed again.
            super::or_end(|| {
                watched.without(|| embed_texts(shared, engine, *fingerprint, tokenizer, turns, texts));
            });
        }
    });
    let took = began.elapsed().saturating_sub(turns.texts() - texts_before);
    if !engine.is_current() {
        // These results may come from other weights. The next batch ends this process.
        refuse_all(responders.into_iter().map(|(responder, ..)| responder));
        return;
    }
    shared.queue.images_took(images.len(), took);
    drop(watched);
    for ((responder, animated, thumbnail), result) in responders.into_iter().zip(results) {
        answer(responder, *fingerprint, result, animated, thumbnail);
    }
}

fn embed_texts(
    shared: &Shared,
    engine: &mut dyn TextEngine,
    fingerprint: ModelFingerprint,
    tokenizer: &Tokenizer,
    turns: &mut Turns,
    jobs: Vec<Job<String>>,
) {
    let lengths = jobs.iter().map(|job| job.input.len()).collect();
    let watched = shared.watchdog.watch(Subject::Texts(lengths));
    let mut texts = Vec::with_capacity(jobs.len());
    let mut prepared = Vec::with_capacity(jobs.len());
    for Job { input, responder } in jobs {
        #[cfg(feature = "fault-injection")]
        if let Some(wrong) = crate::fault::inject(input.as_bytes()) {
            responder.send_wrong(wrong);
            continue;
        }
        match inference::tokenize(tokenizer, &input) {
            Ok(tokens) => {
                texts.push(tokens);
                prepared.push((input, responder));
            }
            Err(failure) => responder.refuse(failure),
        }
    }
    let began = Instant::now();
    let results = inference::embed_texts(engine, &texts);
    turns.texts_took(began, Instant::now());
    if !engine.is_current() {
        refuse_all(prepared.into_iter().map(|(_, responder)| responder));
        return;
    }
    if !texts.is_empty() {
        shared.queue.texts_took(texts.len(), began.elapsed());
    }
    drop(watched);
    for ((text, responder), result) in prepared.into_iter().zip(results) {
        if let Ok(embedding) = &result {
            shared.recent_texts.put(&text, fingerprint, embedding.clone().into_array());
        }
        answer(responder, fingerprint, result, false, None);
    }
}

fn answer(
    responder: Responder,
    model: ModelFingerprint,
    result: Result<Embedding, Failure>,
    animated: bool,
    thumbnail: Option<Bytes>,
) {
    match result {
        Ok(embedding) => {
            let vector = Box::new(embedding.into_array());
            responder.answer(&Response::Embedding { model, vector, animated, thumbnail });
        }
        Err(failure) => responder.refuse(failure),
    }
}

/// Refuses requests whose results were computed while the weights changed. A later attempt reaches the next process.
fn refuse_all(responders: impl IntoIterator<Item = Responder>) {
    for responder in responders {
        responder
            .refuse(Failure::new(ErrorKind::Busy, "model weights were replaced during the request, try again later"));
    }
}

fn refuse<Input>(jobs: Vec<Job<Input>>, failure: &Failure) {
    for job in jobs {
        job.responder.refuse(failure.clone());
    }
}
