//! Lines on standard error, each in one write. Callers pass no part of an image or a text.

use std::fmt;
use std::io::Write;

/// Writes one line, prefixed with the program's name and process ID.
pub fn line(message: fmt::Arguments<'_>) {
    let line = format!("pinterest-embedder[{}]: {message}\n", std::process::id());
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Makes a panic report only its location: the default message contains the unexpected value, which may be part of an
/// untrusted input.
pub fn hide_panic_payloads() {
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(location) => line(format_args!("panicked at {location}")),
        None => line(format_args!("panicked")),
    }));
}
