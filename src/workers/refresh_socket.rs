//! Requests of sessions that need an answer at once, or whose effect must survive a ROLLBACK: to refresh tokens now, and to
//! exchange an authorization code. A table cannot carry them, because the session would have to commit first. Each worker
//! listens on its own socket among the server's private files.
//!
//! A request is a byte for its kind, and its fields. Integers are big-endian.
//!
//! | byte | fields |
//! |---|---|
//! | `R` | i64 account, i64 generation of its tokens that has to be replaced |
//! | `C` | u32 role, SHA-256 of the state (32 bytes), u32 length of the code, the code |
//!
//! The answer is JSON until the end of the connection: the account's id, or the reason of the refusal.

use std::cell::Cell;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use pinterest::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::connect::{self, Connection};
use super::context::Context;
use super::refresh;
use crate::errors::Failure;
use crate::postgres::platform;

/// Longer than any answer.
const LONGEST_ANSWER: u64 = 64 * 1024;
/// Longer than any code in a browser's address.
pub const LONGEST_CODE: usize = 16 * 1024;
/// A session takes less time to write its request.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// A request to a worker.
pub enum Request {
    /// To refresh an account's tokens.
    Refresh {
        /// The account.
        account_id: i64,
        /// The generation that has to be replaced.
        generation: i64,
    },
    /// To exchange a code and store the tokens.
    Connect(Connection),
}

impl Request {
    /// The bytes, zeroed after use: a code is a secret until it is used.
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Request::Refresh { account_id, generation } => {
                let mut bytes = vec![b'R'];
                bytes.extend(account_id.to_be_bytes());
                bytes.extend(generation.to_be_bytes());
                bytes.into()
            }
            Request::Connect(Connection { owner, state_hash, code }) => {
                let code = code.expose().as_bytes();
                // Allocated at once: a growing buffer would leave copies.
                let mut bytes = Vec::with_capacity(1 + 4 + 32 + 4 + code.len());
                bytes.push(b'C');
                bytes.extend(owner.to_be_bytes());
                bytes.extend(state_hash);
                bytes.extend(u32::try_from(code.len()).unwrap_or(u32::MAX).to_be_bytes());
                bytes.extend(code);
                bytes.into()
            }
        }
    }

    async fn read(stream: &mut UnixStream) -> io::Result<Self> {
        match stream.read_u8().await? {
            b'R' => Ok(Request::Refresh { account_id: stream.read_i64().await?, generation: stream.read_i64().await? }),
            b'C' => {
                let owner = stream.read_u32().await?;
                let mut state_hash = [0; 32];
                stream.read_exact(&mut state_hash).await?;
                Ok(Request::Connect(Connection { owner, state_hash, code: read_code(stream).await? }))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

async fn read_code(stream: &mut UnixStream) -> io::Result<Secret> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > LONGEST_CODE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut bytes).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Secret::new(text))
}

/// Why a worker did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It does not listen, so it has not received the request.
    NotListening,
    /// The connection ended; the worker may have processed the request.
    BrokenOff,
}

/// Sends a request to the worker with that process id. Returns the account's id or the reason of the refusal.
///
/// # Errors
/// [`Unanswered`].
pub async fn ask(worker: i32, request: &Request) -> Result<Result<i64, Failure>, Unanswered> {
    let stream = UnixStream::connect(platform::worker_socket(worker)).await;
    let mut stream = stream.map_err(|_| Unanswered::NotListening)?;
    let answer = async {
        stream.write_all(&request.bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = answer.await.map_err(|_| Unanswered::BrokenOff)?;
    serde_json::from_slice(&answer).map_err(|_| Unanswered::BrokenOff)
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
        remove_sockets_of_the_dead();
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

    /// Is a request being served?
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
            // No descriptor is free: connections wait in the backlog.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (context, served) = (context.clone(), served.clone());
        tokio::task::spawn_local(async move {
            served.set(served.get() + 1);
            // Fails if the session has ended.
            let _ = serve(&context, stream).await;
            served.set(served.get() - 1);
        });
    }
}

async fn serve(context: &Context, mut stream: UnixStream) -> io::Result<()> {
    let request = tokio::time::timeout(READ_PATIENCE, Request::read(&mut stream));
    let answer = match request.await.map_err(io::Error::from)?? {
        Request::Refresh { account_id, generation } => {
            let asked = refresh::now(context, account_id, generation, refresh::Urgency::Asked);
            asked.await.map(|()| account_id).map_err(Failure::from)
        }
        Request::Connect(connection) => connect::exchange(context, connection).await,
    };
    stream.write_all(&serde_json::to_vec(&answer)?).await
}

/// Removes the sockets that killed workers have left.
fn remove_sockets_of_the_dead() {
    let Some(directory) = platform::worker_socket(0).parent().map(PathBuf::from) else { return };
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid =
            name.to_str().and_then(|name| name.strip_prefix("pinterest-worker.")?.strip_suffix(".sock")?.parse().ok());
        // SAFETY: signal 0 only checks whether the process exists.
        if pid.is_some_and(|pid: i32| unsafe { libc::kill(pid, 0) } == -1) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
