//! What a backend cannot ask of a worker through a table, because it would have to commit first: to renew tokens now.
//! The worker listens on a socket of its own among the server's private files.
//!
//! A request is two big-endian integers of eight bytes, an account's id and the generation of its tokens that is no good
//! any more. The answer is UTF-8 up to the end of the connection: nothing where newer tokens are stored, else why not.

use std::cell::Cell;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::database::Context;
use super::import::Interruption;
use super::refresh;
use crate::platform;

/// Longer than any of our messages.
const LONGEST_ANSWER: u64 = 4096;

/// Asks the worker with that process id to renew an account's tokens. `None` where they are newer than `generation` now,
/// else why they are not.
pub async fn ask(worker: i32, account_id: i64, generation: i64) -> io::Result<Option<String>> {
    let mut stream = UnixStream::connect(platform::worker_socket(worker)).await?;
    let mut request = account_id.to_be_bytes().to_vec();
    request.extend(generation.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await?;
    match answer.strip_prefix('\n') {
        Some("") => Ok(None),
        Some(refusal) => Ok(Some(refusal.to_owned())),
        // A worker that ends in the middle.
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The worker's end: listens until dropped.
pub struct Requests {
    acceptor: JoinHandle<()>,
    served: Rc<Cell<usize>>,
    // Removes the socket.
    _path: SocketFile,
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Requests {
    /// Listens. On a local task set.
    pub fn new(context: Context) -> io::Result<Self> {
        let path = platform::worker_socket(i32::try_from(std::process::id()).unwrap_or_default());
        remove_those_of_the_dead();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let served = Rc::new(Cell::new(0));
        let acceptor = tokio::task::spawn_local(accept(context, listener, served.clone()));
        Ok(Requests { acceptor, served, _path: SocketFile(path) })
    }

    /// Is anybody being served?
    pub fn are_running(&self) -> bool {
        self.served.get() > 0
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(context: Context, listener: UnixListener, served: Rc<Cell<usize>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: whoever waits in the backlog is served when some are free.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (context, served) = (context.clone(), served.clone());
        tokio::task::spawn_local(async move {
            served.set(served.get() + 1);
            // Whoever has gone does not wait for an answer.
            let _ = serve(&context, stream).await;
            served.set(served.get() - 1);
        });
    }
}

async fn serve(context: &Context, mut stream: UnixStream) -> io::Result<()> {
    let account_id = stream.read_i64().await?;
    let generation = stream.read_i64().await?;
    let answer = match refresh::now(context, account_id, generation, refresh::Urgency::Asked).await {
        Ok(()) => String::new(),
        Err(Interruption::Stopped { failure, .. }) => failure.message,
        Err(_) => "the refresh was given up".to_owned(),
    };
    stream.write_all(format!("\n{answer}").as_bytes()).await
}

/// A worker that was killed leaves its socket behind.
fn remove_those_of_the_dead() {
    let Some(directory) = platform::worker_socket(0).parent().map(PathBuf::from) else { return };
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid =
            name.to_str().and_then(|name| name.strip_prefix("pinterest-worker.")?.strip_suffix(".sock")?.parse().ok());
        // SAFETY: signal 0 only asks whether the process is there.
        if pid.is_some_and(|pid: i32| unsafe { libc::kill(pid, 0) } == -1) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
