//! Decodes files for `tests/fixtures/compare_corpus.py`, which compares the result with Pillow.
//!
//! Reads a path from each line of standard input. Writes a line of JSON for each, `{"width", "height", "animated"}` or
//! `{"error", "kind"}`, and after the first kind of line the pixels, three bytes each.

use std::io::{self, BufRead, Write};

use clip::{Animations, ErrorKind, Limits};

fn main() -> io::Result<()> {
    let limits = Limits::default();
    let mut out = io::stdout().lock();
    for path in io::stdin().lock().lines() {
        let bytes = std::fs::read(path?)?;
        match clip::decoded(&bytes, &limits) {
            Ok((width, height, pixels)) => {
                let alone = clip::prepare(&bytes, &limits, Animations::Refuse);
                let animated = alone.is_err_and(|error| error.kind() == ErrorKind::Animated);
                writeln!(out, "{}", serde_json::json!({"width": width, "height": height, "animated": animated}))?;
                out.write_all(&pixels)?;
            }
            Err(error) => {
                let kind = format!("{:?}", error.kind());
                writeln!(out, "{}", serde_json::json!({"error": error.to_string(), "kind": kind}))?;
            }
        }
        out.flush()?;
    }
    Ok(())
}
