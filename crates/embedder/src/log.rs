//! Lines on standard error, each in one write. No picture, no text and no part of one is ever passed in here.

use std::fmt;
use std::io::Write;

/// Writes one line, prefixed with the program's name and process id.
pub fn line(message: fmt::Arguments<'_>) {
    let line = format!("pinterest-embedder[{}]: {message}\n", std::process::id());
    // Nobody is left to tell if this fails.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Makes a panic say where it happened and nothing else: the default message holds the value that was not expected, which
/// may be a stranger's.
pub fn hide_panic_payloads() {
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(location) => line(format_args!("panicked at {location}")),
        None => line(format_args!("panicked")),
    }));
}
