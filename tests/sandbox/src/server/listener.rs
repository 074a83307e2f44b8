//! The server's thread, with its own runtime so that tests need none.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::{connection, tls};
use crate::config::Certificate;
use crate::error::{Error, ErrorKind};
use crate::state::State;

/// A running server. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    authority: AuthorityFile,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The file of the authority's certificate; a temporary file is removed when this is dropped.
#[derive(Debug)]
enum AuthorityFile {
    Chosen(PathBuf),
    Temporary(NamedTempFile),
}

/// Number of images drawn at the same time.
const DRAWING_THREADS: usize = 2;

impl Server {
    pub(crate) fn start(
        port: u16,
        ca_file: Option<PathBuf>,
        certificate: Certificate,
        state: Arc<State>,
    ) -> Result<Self, Error> {
        let listen = |source| ErrorKind::Listen { port, source };
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let tls = tls::make(certificate)?;
        let authority = write_authority(ca_file, &tls.authority_pem)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(DRAWING_THREADS)
            .build()
            .map_err(ErrorKind::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("pinterest-sandbox".into())
            .spawn(move || serve(runtime, listener, &tls.acceptor, &state, stopped))
            .map_err(ErrorKind::Thread)?;
        Ok(Self { port, authority, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn ca_file(&self) -> &Path {
        match &self.authority {
            AuthorityFile::Chosen(path) => path,
            AuthorityFile::Temporary(file) => file.path(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed.
            let _ = thread.join();
        }
    }
}

fn write_authority(path: Option<PathBuf>, pem: &str) -> Result<AuthorityFile, Error> {
    match path {
        Some(path) => {
            std::fs::write(&path, pem).map_err(|source| Error::write_authority(&path, source))?;
            Ok(AuthorityFile::Chosen(path))
        }
        None => {
            let folder = std::env::temp_dir();
            let failed = |source| Error::write_authority(&folder, source);
            let mut file = tempfile::Builder::new()
                .prefix("pinterest-sandbox-ca-")
                .suffix(".pem")
                .permissions(readable_by_all())
                .tempfile()
                .map_err(failed)?;
            file.write_all(pem.as_bytes()).map_err(failed)?;
            Ok(AuthorityFile::Temporary(file))
        }
    }
}

/// The server under test may run as another user.
fn readable_by_all() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

fn serve(
    runtime: Runtime,
    listener: StdListener,
    acceptor: &TlsAcceptor,
    state: &Arc<State>,
    mut stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => unreachable!("this is a bug: a bound listener was refused: {error}"),
        };
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                accepted = listener.accept() => {
                    // A lack of file descriptors is temporary; other errors concern one connection.
                    let Ok((stream, _)) = accepted else {
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                        continue;
                    };
                    let (acceptor, state) = (acceptor.clone(), Arc::clone(state));
                    tokio::spawn(connection::serve(stream, acceptor, state));
                }
            }
        }
    });
    runtime.shutdown_background();
}
