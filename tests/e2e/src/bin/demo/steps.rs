//! The demo on the terminal: numbered steps with results and times.

use std::io::Write;
use std::time::{Duration, Instant};

use e2e::Result;

/// Column of the times.
const WIDTH: usize = 84;

/// Prints steps as they happen.
pub struct Steps {
    number: usize,
    began: Instant,
}

impl Steps {
    pub fn begin() -> Self {
        println!();
        Self { number: 0, began: Instant::now() }
    }

    /// Runs a step, which returns a detail to print (possibly empty) and its result.
    pub fn run<T>(&mut self, what: &str, action: impl FnOnce() -> Result<(String, T)>) -> Result<T> {
        self.number += 1;
        print!("{:>2}  {what:<WIDTH$}", self.number);
        // Shown before the step runs. An error, as of a closed terminal, is ignored.
        let _ = std::io::stdout().flush();
        let began = Instant::now();
        let outcome = action();
        println!("{}", seconds(began.elapsed()));
        let (detail, result) = outcome?;
        if !detail.is_empty() {
            println!("      → {detail}");
        }
        Ok(result)
    }

    /// Runs a step that prints lines; its time follows them.
    pub fn run_with_lines<T>(&mut self, what: &str, action: impl FnOnce() -> Result<(String, T)>) -> Result<T> {
        self.number += 1;
        println!("{:>2}  {what}", self.number);
        let began = Instant::now();
        let (detail, result) = action()?;
        println!("      → {detail:<rest$}{}", seconds(began.elapsed()), rest = WIDTH - 4);
        Ok(result)
    }

    /// Runs a step of one SQL statement, which is added to an error.
    pub fn sql<T>(&mut self, statement: &str, action: impl FnOnce() -> Result<(String, T)>) -> Result<T> {
        self.run(statement, action).map_err(|error| match error.downcast_ref::<postgres::Error>() {
            Some(cause) => server_error(statement, cause),
            None => error.context(statement.to_string()),
        })
    }

    /// Prints a line between the steps.
    pub fn note(&self, text: &str) {
        println!("      {text}");
    }

    /// Prints the total time.
    pub fn end(self) {
        println!("    {:<WIDTH$}{}", "in all", seconds(self.began.elapsed()));
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:>8.2} s", duration.as_secs_f64())
}

/// The server's message with its code and hint.
fn server_error(statement: &str, error: &postgres::Error) -> anyhow::Error {
    let Some(error) = error.as_db_error() else {
        return anyhow::anyhow!("{statement}: {error}");
    };
    let hint = error.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!("\n  detail: {detail}")).unwrap_or_default();
    anyhow::anyhow!("{statement}\n  {} ({}){detail}{hint}", error.message(), error.code().code())
}
