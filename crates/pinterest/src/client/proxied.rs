//! Requests through a proxy: with its current credentials, and errors that distinguish the proxy from the site.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use reqwest::{Request, Response};

use crate::error::{Error, ErrorKind, from_reqwest};
use crate::net::{Host, Inquiry, read_credentials};

/// Creates an HTTP client that uses the proxy with these credentials.
type Make = Box<dyn Fn(Option<&HeaderValue>) -> Result<reqwest::Client, Error> + Send + Sync>;

/// A proxy and the client that uses it.
pub(super) struct Proxied {
    pub(super) inquiry: Inquiry,
    pub(super) credentials_file: Option<std::path::PathBuf>,
    pub(super) make: Make,
    pub(super) current: Mutex<Option<Current>>,
}

/// A client and the credentials it was created with.
#[derive(Clone)]
pub(super) struct Current {
    stamp: Option<Stamp>,
    credentials: Option<HeaderValue>,
    http: reqwest::Client,
}

/// Identifies a file's state: a file with the same stamp has not changed.
type Stamp = [i64; 8];

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::symlink_metadata(path).ok()?;
    let [device, inode, length] = [file.dev(), file.ino(), file.len()].map(u64::cast_signed);
    let access = (i64::from(file.mode()) << 32) | i64::from(file.uid());
    Some([device, inode, length, access, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
}

impl Proxied {
    /// Sends a request to a host.
    ///
    /// # Errors
    /// Besides those of a request without a proxy, those of [`Inquiry::ask`].
    pub(super) async fn send(&self, request: Request, host: &Host) -> Result<Response, Error> {
        let current = self.current()?;
        match current.http.execute(request).await {
            Ok(response) => Ok(response),
            Err(error) if error.is_connect() => Err(self.explain(error, host, &current).await),
            Err(error) => Err(from_reqwest(error)),
        }
    }

    /// Checks that the proxy opens a connection to a host.
    pub(super) async fn ask(&self, host: &Host) -> Result<(), Error> {
        let current = self.current()?;
        self.inquiry.ask(host, current.credentials.as_ref()).await
    }

    /// Finds the reason of a failed connection: connects to the proxy once more, by hand. No request was sent.
    async fn explain(&self, error: reqwest::Error, host: &Host, current: &Current) -> Error {
        let seen = from_reqwest(error);
        if let Err(reason) = self.inquiry.ask(host, current.credentials.as_ref()).await {
            return reason;
        }
        let proxy = &self.inquiry.address;
        match seen.kind() {
            // About the site's certificate: the proxy opened the connection.
            ErrorKind::Tls => seen.with_note(&format!(", through the proxy {proxy}")),
            // Also if the proxy accepts before it is connected itself.
            _ => self.inquiry.lost(host, &seen),
        }
    }

    /// The client, created again if the credentials file has changed.
    fn current(&self) -> Result<Current, Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the file is read: a change in between is noticed the next time.
        let stamp = self.credentials_file.as_deref().and_then(stamp);
        if let Some(current) = current.as_ref().filter(|current| current.stamp == stamp) {
            return Ok(current.clone());
        }
        let credentials = self.credentials_file.as_deref().map(read_credentials).transpose()?;
        let http = (self.make)(credentials.as_ref())?;
        Ok(current.insert(Current { stamp, credentials, http }).clone())
    }
}
