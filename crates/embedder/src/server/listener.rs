//! The listening socket: inherited from a supervisor, or made here.

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
    /// At a socket made here.
    Path(PathBuf),
    /// At an inherited, listening socket of this descriptor.
    Descriptor(RawFd),
}

/// A listening socket.
pub struct Endpoint {
    listener: UnixListener,
    made: Option<Made>,
}

/// The socket file this process made, removed when dropped, unless another one has taken its place.
pub struct Made {
    path: PathBuf,
    inode: (u64, u64),
}

impl Endpoint {
    /// The socket within the running runtime, and a guard of its file.
    pub fn into_parts(self) -> io::Result<(tokio::net::UnixListener, Option<Made>)> {
        self.listener.set_nonblocking(true)?;
        Ok((tokio::net::UnixListener::from_std(self.listener)?, self.made))
    }
}

impl Endpoint {
    /// The directory of the socket file this process made.
    pub fn directory(&self) -> Option<&Path> {
        let made = self.made.as_ref()?;
        Some(made.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }
}

impl Listen {
    /// Opens the socket. Before there are other threads: it changes the process's umask for a moment.
    pub fn open(&self) -> io::Result<Endpoint> {
        match self {
            Self::Path(path) => bind(path),
            Self::Descriptor(descriptor) => inherit(*descriptor),
        }
    }
}

fn inherit(descriptor: RawFd) -> io::Result<Endpoint> {
    // SAFETY: the command line says that this descriptor was opened for us, nothing else in this process knows it, and
    // the system tells below whether it is open at all. Called once.
    #[allow(unsafe_code, reason = "a descriptor that is inherited is known by its number alone")]
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    if !listens(&socket)? {
        return Err(io::Error::other(format!("descriptor {descriptor} is not a listening Unix socket")));
    }
    Ok(Endpoint { listener: socket.into(), made: None })
}

#[cfg(target_os = "linux")]
fn listens(socket: &OwnedFd) -> io::Result<bool> {
    Ok(sockopt::socket_domain(socket)? == AddressFamily::UNIX && sockopt::socket_acceptconn(socket)?)
}

/// Whether it listens cannot be asked everywhere; one that does not fails at the first connection.
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
    // Held until the end of this function, so that of two servers started at once only one finds the socket stale.
    let lock = fs::File::open(directory)?;
    flock(lock.as_fd(), FlockOperation::LockExclusive)?;
    remove_stale(path)?;
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound?;
    let metadata = fs::symlink_metadata(path)?;
    Ok(Endpoint { listener, made: Some(Made { path: path.to_owned(), inode: (metadata.dev(), metadata.ino()) }) })
}

/// Whoever can write the directory can put a socket of their own in our place.
fn check_directory(directory: &Path) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    let (mode, owner, user) = (metadata.mode() & 0o7777, metadata.uid(), geteuid().as_raw());
    if mode & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others may write the directory {} (mode {mode:04o}); make it 0700",
            directory.display()
        )));
    }
    if ![user, 0].contains(&owner) {
        return Err(io::Error::other(format!(
            "the directory {} belongs to user {owner}, expected user {user} or 0",
            directory.display()
        )));
    }
    Ok(())
}

/// Removes a socket at which nobody listens, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::other(format!("{} exists and is not a socket", path.display())));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other(format!("another process listens at {}", path.display()))),
    }
}

impl Drop for Made {
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
