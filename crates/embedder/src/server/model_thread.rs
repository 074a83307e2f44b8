//! The thread that owns the model.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use clip::{Embedding, Engine, Kernels, Options, Tokenizer};
use embedder::protocol::Response;
use embedder::{ErrorKind, Model, ModelFingerprint, ModelState};

use super::Shared;
use super::answers::Asker;
use super::queue::{Batch, Decoded, Job};
use super::slot::Slot;
use super::watchdog::Subject;
use crate::failure::Failure;
use crate::packing::Packing;
use crate::{inference, log, model, sandbox};

/// The marks around no word.
const SHORTEST_TEXT: [u32; 2] = [49_406, 49_407];

struct Loaded {
    engine: Box<dyn Engine>,
    fingerprint: ModelFingerprint,
}

pub fn run(shared: &Shared, directory: PathBuf, options: &Options, packing: Packing) {
    let mut slot = Slot::new(directory);
    let tokenizer = thread::scope(|scope| {
        // Takes about as long as mapping a model that is packed.
        let tokenizer = scope.spawn(Tokenizer::new);
        packing.wait();
        // Loaded before anyone asks; a failure is told to whoever does.
        let _ = slot.get(Instant::now(), |directory| load(shared, directory, options));
        tokenizer.join().expect("the vocabulary is part of the program")
    });
    let _ = shared.first_load.set(());
    loop {
        let batch = shared.queue.next_batch();
        match slot.get(Instant::now(), |directory| load(shared, directory, options)) {
            // What waits is not answered: it is sent again, to the next process.
            Ok(loaded) if !loaded.engine.is_current() => {
                drop(batch);
                shared.make_way("the packed weights were written while they were in use");
            }
            Ok(loaded) => match batch {
                Batch::Images(jobs) => embed_images(shared, loaded, jobs),
                Batch::Texts(jobs) => embed_texts(shared, loaded, &tokenizer, jobs),
            },
            Err(_) if !shared.territory.has_the_model() => {
                drop(batch);
                shared.make_way("the directory of the model is another than when this process started");
            }
            Err(failure) => match batch {
                Batch::Images(jobs) => refuse(jobs, &failure),
                Batch::Texts(jobs) => refuse(jobs, &failure),
            },
        }
    }
}

/// Loads the model and tells [`Info`](embedder::Info) so.
fn load(shared: &Shared, directory: &Path, options: &Options) -> Result<Loaded, Failure> {
    *shared.model_state() = ModelState::Loading;
    let result = model::load(directory, options);
    if let Ok((_, Model { notice: Some(notice), .. })) = &result {
        log::line(format_args!("{notice}"));
    }
    *shared.model_state() = match &result {
        Ok((_, model)) => ModelState::Ready(model.clone()),
        Err(Failure { kind, message }) => ModelState::Failed { kind: *kind, message: message.clone() },
    };
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
        // It starts threads and asks for the sizes of caches with its first product.
        let _ = engine.embed_texts(&[SHORTEST_TEXT.to_vec()]);
    }
    match sandbox::seal() {
        Ok(()) => shared.sandbox().sealed = true,
        Err(error) => log::line(format_args!("cannot give up opening files: {error}")),
    }
}

fn embed_images(shared: &Shared, loaded: &mut Loaded, jobs: Vec<Job<Decoded>>) {
    let digests = jobs.iter().map(|job| job.input.sha256).collect();
    let (images, askers): (Vec<_>, Vec<_>) =
        jobs.into_iter().map(|job| (job.input.pixels, (job.asker, job.input.animated))).unzip();
    let watched = shared.watchdog.watch(Subject::Images(digests));
    let began = Instant::now();
    let results = inference::embed_images(&mut *loaded.engine, &images);
    if !loaded.engine.is_current() {
        // The next batch makes way; these have perhaps met other weights.
        refuse_askers(askers.into_iter().map(|(asker, _)| asker));
        return;
    }
    shared.queue.images_took(images.len(), began.elapsed());
    drop(watched);
    for ((asker, animated), result) in askers.into_iter().zip(results) {
        answer(asker, loaded.fingerprint, result, animated);
    }
}

fn embed_texts(shared: &Shared, loaded: &mut Loaded, tokenizer: &Tokenizer, jobs: Vec<Job<String>>) {
    let lengths = jobs.iter().map(|job| job.input.len()).collect();
    let watched = shared.watchdog.watch(Subject::Texts(lengths));
    let mut texts = Vec::with_capacity(jobs.len());
    let mut prepared = Vec::with_capacity(jobs.len());
    for Job { input, asker } in jobs {
        #[cfg(feature = "fault-injection")]
        if let Some(lie) = crate::fault::strike(input.as_bytes()) {
            asker.lie(lie);
            continue;
        }
        match inference::tokenize(tokenizer, &input) {
            Ok(tokens) => {
                texts.push(tokens);
                prepared.push((input, asker));
            }
            Err(failure) => asker.refuse(failure),
        }
    }
    let began = Instant::now();
    let results = inference::embed_texts(&mut *loaded.engine, &texts);
    if !loaded.engine.is_current() {
        refuse_askers(prepared.into_iter().map(|(_, asker)| asker));
        return;
    }
    if !texts.is_empty() {
        shared.queue.texts_took(texts.len(), began.elapsed());
    }
    drop(watched);
    for ((text, asker), result) in prepared.into_iter().zip(results) {
        if let Ok(embedding) = &result {
            shared.recent_texts.put(&text, loaded.fingerprint, embedding.clone().into_array());
        }
        answer(asker, loaded.fingerprint, result, false);
    }
}

fn answer(asker: Asker, model: ModelFingerprint, result: Result<Embedding, Failure>, animated: bool) {
    match result {
        Ok(embedding) => {
            let vector = Box::new(embedding.into_array());
            asker.answer(&Response::Embedding { model, vector, animated });
        }
        Err(failure) => asker.refuse(failure),
    }
}

/// For those whose answer was made while the weights changed: asked again a little later, the next process has it.
fn refuse_askers(askers: impl IntoIterator<Item = Asker>) {
    for asker in askers {
        asker.refuse(Failure::new(ErrorKind::Busy, "the weights were replaced meanwhile: ask again a little later"));
    }
}

fn refuse<Input>(jobs: Vec<Job<Input>>, failure: &Failure) {
    for job in jobs {
        job.asker.refuse(failure.clone());
    }
}
