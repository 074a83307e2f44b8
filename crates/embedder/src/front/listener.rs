//! The listening socket: inherited from a supervisor, or created here.

use std::fs;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, flock};
use rustix::net::AddressFamily;
#[cfg(not(target_os = "linux"))]
use rustix::net::getsockname;
#[cfg(target_os = "linux")]
use rustix::net::sockopt;
use rustix::process::{geteuid, umask};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At a socket that this process creates.
    Path(PathBuf),
    /// At the inherited, listening socket with this descriptor.
    Descriptor(RawFd),
}

/// A listening socket.
pub struct Endpoint {
    listener: UnixListener,
    socket_file: Option<SocketFile>,
}

/// The socket file that this process created. Removed on drop, unless another process has replaced it.
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Endpoint {
    /// Registers the socket with the current runtime; also returns the guard of its file.
    pub fn into_parts(self) -> io::Result<(tokio::net::UnixListener, Option<SocketFile>)> {
        self.listener.set_nonblocking(true)?;
        Ok((tokio::net::UnixListener::from_std(self.listener)?, self.socket_file))
    }

    /// The directory of the socket file that this process created.
    pub fn directory(&self) -> Option<&Path> {
        let socket_file = self.socket_file.as_ref()?;
        Some(socket_file.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }
}

impl Listen {
    /// Opens the socket. Must be called before other threads start, since it changes the process's umask for a moment.
    pub fn open(&self) -> io::Result<Endpoint> {
        match self {
            Self::Path(path) => bind(path),
            Self::Descriptor(descriptor) => inherit(*descriptor),
        }
    }
}

fn inherit(descriptor: RawFd) -> io::Result<Endpoint> {
    // SAFETY: by the command line this descriptor was opened for this process. No other code uses it, and `listens` checks
    // below that it is open. Called once.
    #[allow(unsafe_code, reason = "an inherited descriptor is only known by its number")]
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    if !listens(&socket)? {
        return Err(io::Error::other(format!("descriptor {descriptor} is not a listening Unix socket")));
    }
    Ok(Endpoint { listener: socket.into(), socket_file: None })
}

#[cfg(target_os = "linux")]
fn listens(socket: &OwnedFd) -> io::Result<bool> {
    Ok(sockopt::socket_domain(socket)? == AddressFamily::UNIX && sockopt::socket_acceptconn(socket)?)
}

/// These systems cannot report whether a socket listens; one that does not fails at the first connection.
#[cfg(not(target_os = "linux"))]
fn listens(socket: &OwnedFd) -> io::Result<bool> {
    Ok(getsockname(socket)?.address_family() == AddressFamily::UNIX)
}

fn bind(path: &Path) -> io::Result<Endpoint> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    check_directory(directory)?;
    // Held until the end of this function, so that of two concurrent servers only one finds the socket stale.
    let lock = fs::File::open(directory)?;
    flock(lock.as_fd(), FlockOperation::LockExclusive)?;
    remove_stale(path)?;
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound?;
    let metadata = fs::symlink_metadata(path)?;
    Ok(Endpoint {
        listener,
        socket_file: Some(SocketFile { path: path.to_owned(), inode: (metadata.dev(), metadata.ino()) }),
    })
}

/// A user who can write the directory could replace the socket.
fn check_directory(directory: &Path) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    let (mode, owner, user) = (metadata.mode() & 0o7777, metadata.uid(), geteuid().as_raw());
    if mode & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "socket directory \"{}\" must not be writable by group or others (mode {mode:04o})",
            directory.display()
        )));
    }
    if ![user, 0].contains(&owner) {
        return Err(io::Error::other(format!(
            "socket directory \"{}\" must be owned by root or user {user}, but is owned by user {owner}",
            directory.display()
        )));
    }
    Ok(())
}

/// Removes a socket if no process listens at it. Refuses any other file.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::other(format!("\"{}\" exists and is not a socket", path.display())));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other(format!("another process listens at \"{}\"", path.display()))),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
