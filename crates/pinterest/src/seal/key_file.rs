//! The key file: its rules and its creation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::{Reason, SealError};
use super::key_ring::KeyRing;
use crate::private_file;

/// Reads a key file. It must be a regular file and not a symbolic link, belong to this process' user or to root, and give no
/// access to group and others.
///
/// # Errors
/// [`super::SealErrorKind::KeyFile`] with the violated rule, [`super::SealErrorKind::KeyText`] with the line.
pub fn read_key_file(path: &Path) -> Result<KeyRing, SealError> {
    let text = private_file::read(path).map_err(|rule| refuse(path, rule))?;
    KeyRing::parse(&text)
        .map_err(|error| if let Reason::KeyText(rule) = error.reason() { refuse_text(path, rule) } else { error })
}

/// Creates a key file with one key of these random bytes and mode 0600; it is durable when this returns. If another process
/// creates it at the same time, that file is read: all processes get the same keys.
///
/// # Errors
/// As [`read_key_file`].
pub fn create_key_file(path: &Path, random: [u8; 32]) -> Result<KeyRing, SealError> {
    let ring = KeyRing::generate(random);
    let (Some(name), Some(directory)) = (path.file_name(), path.parent()) else {
        return Err(refuse(path, "it is not a file name"));
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    // Written under another name and then linked, so that no process ever reads part of a key. The other name contains the
    // key's fingerprint, which differs for every process.
    let draft = Draft(directory.join(format!(".{}.{}", name.to_string_lossy(), ring.active())));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0).and_then(|mut file| {
        file.write_all(ring.to_text().expose().as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| io_error(path, "cannot be created", &error))?;
    match fs::hard_link(&draft.0, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return read_key_file(path),
        Err(error) => return Err(io_error(path, "cannot be created", &error)),
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| io_error(path, "cannot be synced", &error))?;
    drop(draft);
    Ok(ring)
}

/// Removes the draft, whatever happened.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // A failure is harmless: the file has mode 0600, and its key is in use or was never used.
        let _ = fs::remove_file(&self.0);
    }
}

fn refuse(path: &Path, rule: impl Into<String>) -> SealError {
    SealError::new(Reason::KeyFile { path: path.display().to_string(), rule: rule.into() })
}

fn refuse_text(path: &Path, rule: &str) -> SealError {
    SealError::new(Reason::KeyText(format!("key file {}: {rule}", path.display())))
}

fn io_error(path: &Path, what: &str, error: &io::Error) -> SealError {
    refuse(path, private_file::failed(what, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::seal::SealErrorKind;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_file_is_private_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = create_key_file(&path, [5; 32]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(read_key_file(&path).unwrap().fingerprints(), made.fingerprints());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the draft is gone");
    }

    #[test]
    fn concurrent_creators_get_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let rings: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..16u8)
                .map(|byte| {
                    scope.spawn({
                        let path = &path;
                        move || create_key_file(path, [byte; 32])
                    })
                })
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap().unwrap().active()).collect()
        });
        assert!(rings.iter().all(|active| *active == rings[0]), "{rings:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unsafe_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, &"ab".repeat(32), 0o644);
        let error = read_key_file(&path).unwrap_err();
        assert_eq!(error.kind(), SealErrorKind::KeyFile);
        assert!(error.to_string().contains("/key: its mode is 0644"), "{error}");
    }

    #[test]
    fn the_error_of_a_bad_key_names_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, "# short\nabc\n", 0o600);
        let error = read_key_file(&path).unwrap_err();
        assert_eq!(error.kind(), SealErrorKind::KeyText);
        assert!(error.to_string().contains("/key: line 2 is not a key"), "{error}");
    }

    #[test]
    fn an_impossible_path_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("no/such/key"), PathBuf::from("/"), PathBuf::new()] {
            assert_eq!(create_key_file(&path, [1; 32]).unwrap_err().kind(), SealErrorKind::KeyFile, "{path:?}");
        }
    }
}
