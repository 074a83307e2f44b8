//! One line of JSON in, one out.

use std::io::{BufRead, Write, stdin, stdout};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;

/// Prints `ready`, then the answer to each line, until standard input ends.
pub fn serve<Q: DeserializeOwned>(
    ready: &impl Serialize,
    mut answer: impl FnMut(Q) -> Result<serde_json::Value>,
) -> Result<()> {
    print(ready)?;
    for line in stdin().lock().lines() {
        print(&answer(serde_json::from_str(&line?)?)?)?;
    }
    Ok(())
}

fn print(value: &impl Serialize) -> Result<()> {
    let mut output = stdout().lock();
    serde_json::to_writer(&mut output, value)?;
    output.write_all(b"\n")?;
    output.flush()?;
    Ok(())
}
