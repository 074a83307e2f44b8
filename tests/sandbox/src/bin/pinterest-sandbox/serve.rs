//! Serving until a signal.

use std::io::Write as _;

use sandbox::{Config, Sandbox};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Starts a sandbox, announces it on standard output, and returns at a signal or, with `lifeline`, when standard input
/// closes.
pub fn run(config: Config, lifeline: bool) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("could not wait for signals: {error}"))?;
    runtime.block_on(async {
        // Before the announcement: its reader may send a signal at once.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let sandbox = Sandbox::start(config).map_err(|error| error.to_string())?;
        announce(&sandbox).map_err(|error| format!("could not write to standard output: {error}"))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = standard_input_closes(), if lifeline => {}
        }
        sandbox.stop();
        Ok(())
    })
}

async fn standard_input_closes() {
    let (closed, wait) = oneshot::channel();
    // A thread, because a read of standard input cannot be cancelled. It ends with the process.
    std::thread::spawn(move || {
        // An input that cannot be read counts as closed.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop::<oneshot::Sender<()>>(closed);
    });
    let _ = wait.await;
}

fn announce(sandbox: &Sandbox) -> std::io::Result<()> {
    let config = sandbox.config();
    let line = json!({
        "url": sandbox.url(),
        "host": sandbox.host(),
        "ca_file": sandbox.ca_file(),
        "client_id": config.app.client_id,
        "client_secret": config.app.client_secret,
        "redirect_uri": config.app.redirect_uris[0],
        "username": config.accounts[0].username,
        "boards": sandbox.boards(),
    });
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
