//! Writes the 224 x 224 window of an image to standard output, as rows of RGB; to standard error its time and memory.
//!
//! ```text
//! window FILE [TIMES]
//! ```

use std::io::Write;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let bytes = std::fs::read(arguments.next().expect("a file")).expect("it can be read");
    let times: u32 = arguments.next().map_or(1, |times| times.parse().expect("a number"));
    let mut best = f64::INFINITY;
    let mut window = None;
    for _ in 0..times {
        let began = Instant::now();
        window = Some(clip::window(&bytes, &clip::Limits::default()).expect("it is a picture"));
        best = best.min(began.elapsed().as_secs_f64());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    eprintln!("{:.1} ms, {peak}, {} bytes", 1000.0 * best, bytes.len());
    std::io::stdout().write_all(window.expect("at least once").as_rgb()).expect("it is written");
}
