//! What a server or a machine may lack, so that a test is skipped.

use std::io::Write as _;

use e2e::{Installation, Result};

/// Prints that the current test is skipped, and why. The test returns this.
pub fn skip(reason: &str) -> Result<()> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Bypasses libtest, which shows no output of tests that pass.
    Ok(writeln!(std::io::stderr(), "\nSKIPPED: {test}: {reason}")?)
}

/// The first of these modules that the server lacks, as a reason for [`skip`].
pub fn lacking(modules: &[&str]) -> Result<Option<String>> {
    let installation = Installation::staged()?;
    let missing = modules.iter().find(|name| !installation.has_module(name));
    Ok(missing.map(|name| format!("{} has no module {name}", installation.version())))
}
