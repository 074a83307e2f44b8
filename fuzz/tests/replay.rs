//! Each target with its committed corpus, and with seeded mutations of it.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuzz::{TARGETS, Target, corpus};

/// The default of `FUZZ_SEED`.
const SEED: u64 = 11;

fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let files = corpus::read(target.name).unwrap_or_else(|error| panic!("corpus/{}: {error}", target.name));
    assert!(!files.is_empty(), "corpus/{} is empty", target.name);
    files.into_iter().map(|(_, bytes)| bytes).collect()
}

/// Runs a target; an input that fails is written to a file.
fn run(target: &Target, input: &[u8], origin: &str) {
    if catch_unwind(|| (target.run)(input)).is_err() {
        let path = std::env::temp_dir().join(format!("fuzz-{}-failed", target.name));
        std::fs::write(&path, input).unwrap();
        panic!("target {} failed on {origin}; the input is in {}", target.name, path.display());
    }
}

#[test]
fn corpora() {
    for target in TARGETS {
        for (path, bytes) in corpus::read(target.name).unwrap() {
            run(target, &bytes, &path.display().to_string());
        }
        run(target, b"", "an empty input");
    }
}

#[test]
fn mutations() {
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    // Two threads share the targets.
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
                let inputs = inputs(target);
                let mut random = fastrand::Rng::with_seed(seed);
                for number in 0..target.mutations {
                    run(target, &corpus::mutate(&inputs, &mut random), &format!("mutation {number} of seed {seed}"));
                }
            }
        };
        let threads = [scope.spawn(work), scope.spawn(work)];
        let failed: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().err()).collect();
        if let Some(panic) = failed.into_iter().next() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// `make fuzz` runs programs, so a target without one would be skipped.
#[test]
fn every_target_has_a_program() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut programs: Vec<String> = std::fs::read_dir(here.join("programs"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    programs.sort();
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(programs, names);
}
