//! Inputs that make the program misbehave, so that tests can see what becomes of those who depend on it.
//!
//! A picture or text that is `PINTEREST-EMBEDDER-FAULT:` and one of the words of [`strike`] does what the word says. In the
//! picture's case a decoding thread does it, in the text's the model's thread.

use std::hint::black_box;
use std::time::Duration;

use embedder::protocol::Response;
use embedder::{DIMENSION, ModelFingerprint};
use rustix::process::{Resource, Signal, getpid, getrlimit, kill_process};

const PREFIX: &[u8] = b"PINTEREST-EMBEDDER-FAULT:";

/// An answer that a sound server does not give.
pub enum Lie {
    /// An embedding of this number alone.
    Embedding(f32),
    /// The header of an embedding and less than one.
    Short,
    /// Bytes that are no frame.
    Garbage,
}

impl Lie {
    pub fn frame(self, id: u64) -> Vec<u8> {
        let embedding = |value| {
            Response::Embedding { model: ModelFingerprint::from_bytes([0; 32]), vector: Box::new([value; DIMENSION]) }
                .encode(id)
        };
        match self {
            Self::Embedding(value) => embedding(value),
            Self::Short => {
                let mut frame = embedding(1.0);
                frame.truncate(frame.len() - 4);
                let length = (frame.len() - 20) as u32;
                frame[16..20].copy_from_slice(&length.to_le_bytes());
                frame
            }
            Self::Garbage => vec![b'?'; 4096],
        }
    }
}

/// Does what `input` says, if it is such an input.
pub fn strike(input: &[u8]) -> Option<Lie> {
    match input.strip_prefix(PREFIX)? {
        b"abort" => std::process::abort(),
        b"bus" => die_of(Signal::BUS),
        b"exit" => std::process::exit(0),
        b"garbage" => Some(Lie::Garbage),
        b"hang" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        b"kill" => die_of(Signal::KILL),
        b"memory" => exhaust_memory(),
        // Thrown by `panic_if_told`, where a decoder's panic would be.
        b"panic" => None,
        b"nan" => Some(Lie::Embedding(f32::NAN)),
        b"segfault" => die_of(Signal::SEGV),
        b"short" => Some(Lie::Short),
        b"stack-overflow" => {
            black_box(recurse(1));
            None
        }
        b"zero" => Some(Lie::Embedding(0.0)),
        _ => None,
    }
}

/// Twice, since the standard library's handler takes the first for a stack overflow elsewhere and steps back.
fn die_of(signal: Signal) -> ! {
    loop {
        let _ = kill_process(getpid(), signal);
    }
}

/// Panics in the place of a decoder.
pub fn panic_if_told(image: &[u8]) {
    if image.strip_prefix(PREFIX) == Some(b"panic") {
        panic!("as told by {image:?}");
    }
}

fn exhaust_memory() -> ! {
    // Without a limit the machine's memory would be exhausted, not ours.
    if getrlimit(Resource::As).current.is_none() {
        std::process::abort();
    }
    let mut hoard = Vec::new();
    loop {
        // Never written to: the limit is on address space, and the pages are not needed.
        hoard.push(black_box(Vec::<u8>::with_capacity(16 * 1024 * 1024)));
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 128]);
    if depth == 0 {
        return 0;
    }
    recurse(depth + 1) + frame[1]
}
