//! The options of every command that decodes images.

use std::ffi::OsString;

use clap::{Args, value_parser};
use clip::Limits;
use embedder::protocol::MAX_IMAGE_BYTES;

#[derive(Args)]
pub struct LimitArguments {
    /// Largest image, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().max_bytes as u64,
        value_parser = value_parser!(u64).range(1..=MAX_IMAGE_BYTES as u64))]
    max_image_bytes: u64,

    /// Largest image, in pixels (width times height)
    #[arg(long, value_name = "PIXELS", default_value_t = Limits::default().max_pixels,
        value_parser = value_parser!(u64).range(1..))]
    max_image_pixels: u64,

    /// Largest width and height of an image, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = Limits::default().max_side,
        value_parser = value_parser!(u32).range(1..))]
    max_image_side: u32,
}

/// The share of the process's memory that decoding one large image may take: one fourth. The rest is for the model, of which
/// loading without packed weights takes a copy, and for requests that wait.
const SHARE: u64 = 4;

impl LimitArguments {
    /// The same on the command line of another process.
    pub fn passed_on(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.into(), value.into()]);
        add("--max-image-bytes", self.max_image_bytes.to_string());
        add("--max-image-pixels", self.max_image_pixels.to_string());
        add("--max-image-side", self.max_image_side.to_string());
        arguments
    }

    /// The limits for a process with `memory_limit` bytes of address space; `None` is unlimited.
    pub fn limits(&self, memory_limit: Option<u64>) -> Limits {
        let defaults = Limits::default();
        Limits {
            // At most `MAX_IMAGE_BYTES`, by the range above.
            max_bytes: self.max_image_bytes as usize,
            max_pixels: self.max_image_pixels,
            max_side: self.max_image_side,
            max_memory: memory_limit.map_or(defaults.max_memory, |limit| limit / SHARE),
        }
    }
}
