//! The key file: what is accepted as one, and how the first one is made.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::{Reason, SealError};
use super::key_ring::KeyRing;

/// Bytes a key file may have: hundreds of keys with comments.
const MAX_LENGTH: u64 = 64 * 1024;

/// Reads a key file that is kept safely: a regular file, not reached through a symbolic link, owned by the user this
/// process runs as or by root, without any right for group and others.
///
/// # Errors
/// [`super::SealErrorKind::KeyFile`] with the rule broken, [`super::SealErrorKind::KeyText`] with the line.
pub fn read_key_file(path: &Path) -> Result<KeyRing, SealError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if is_link {
            refuse(path, "it is a symbolic link; name the file itself")
        } else {
            io_error(path, "cannot be opened", &error)
        }
    })?;
    // Of the open file, not of the path: there is no gap in which it could be exchanged.
    let metadata = file.metadata().map_err(|error| io_error(path, "cannot be examined", &error))?;
    let me = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err(refuse(path, "it is not a regular file"));
    }
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(refuse(
            path,
            format!("it belongs to user {}, neither to {me} (this process) nor to root", metadata.uid()),
        ));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refuse(
            path,
            format!("its mode is {:04o}; group and others may have no right: chmod 0600", metadata.mode() & 0o7777),
        ));
    }
    // Room for all of it at once, so that growing leaves no copies behind.
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(metadata.len().min(MAX_LENGTH)).unwrap_or(0) + 1));
    file.take(MAX_LENGTH + 1).read_to_string(&mut text).map_err(|error| io_error(path, "cannot be read", &error))?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(refuse(path, format!("it has more than {MAX_LENGTH} bytes")));
    }
    KeyRing::parse(&text)
        .map_err(|error| if let Reason::KeyText(rule) = error.reason() { refuse_text(path, rule) } else { error })
}

/// Makes a key file with one key of these random bytes, mode 0600, durable when this returns. If somebody else makes
/// it at the same moment, theirs is read: all get the same keys.
///
/// # Errors
/// As [`read_key_file`].
pub fn create_key_file(path: &Path, random: [u8; 32]) -> Result<KeyRing, SealError> {
    let ring = KeyRing::generate(random);
    let (Some(name), Some(directory)) = (path.file_name(), path.parent()) else {
        return Err(refuse(path, "it is not the name of a file"));
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    // Written under another name and then linked to its own, so that nobody ever reads half a key. The other name is
    // the key's fingerprint: different for every process.
    let draft = Draft(directory.join(format!(".{}.{}", name.to_string_lossy(), ring.active())));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0).and_then(|mut file| {
        file.write_all(ring.to_text().expose().as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| io_error(path, "cannot be made", &error))?;
    match fs::hard_link(&draft.0, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return read_key_file(path),
        Err(error) => return Err(io_error(path, "cannot be made", &error)),
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| io_error(path, "cannot be made durable", &error))?;
    drop(draft);
    Ok(ring)
}

/// Removes the draft, whatever happened.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the file has mode 0600 and holds a key in use or one that never was.
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
    refuse(path, format!("it {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

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
    fn whoever_comes_second_gets_the_first_ones_key() {
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
    fn a_file_that_is_not_kept_safely_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let key = "ab".repeat(32);
        write(&path("open"), &key, 0o644);
        write(&path("group"), &key, 0o640);
        write(&path("good"), &key, 0o400);
        write(&path("long"), &"#\n".repeat(40_000), 0o600);
        write(&path("binary"), "", 0o600);
        fs::write(path("binary"), [0xff; 32]).unwrap();
        symlink(path("good"), path("link")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        for (name, expected) in [
            ("missing", "cannot be opened"),
            ("open", "its mode is 0644"),
            ("group", "its mode is 0640"),
            ("long", "more than 65536 bytes"),
            ("binary", "cannot be read"),
            ("link", "it is a symbolic link"),
            ("directory", "it is not a regular file"),
        ] {
            let error = read_key_file(&path(name)).unwrap_err();
            assert_eq!(error.kind(), SealErrorKind::KeyFile);
            assert!(error.to_string().contains(expected), "{name}: {error}");
        }
        read_key_file(&path("good")).unwrap();
    }

    #[test]
    fn another_users_file_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, &"ab".repeat(32), 0o600);
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        assert!(read_key_file(&path).unwrap_err().to_string().contains("belongs to user 12345"));
    }

    #[test]
    fn a_bad_key_names_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, "# short\nabc\n", 0o600);
        let error = read_key_file(&path).unwrap_err();
        assert_eq!(error.kind(), SealErrorKind::KeyText);
        assert!(error.to_string().contains("/key: line 2 is no key"), "{error}");
    }

    #[test]
    fn a_place_that_cannot_hold_a_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("no/such/key"), PathBuf::from("/"), PathBuf::new()] {
            assert_eq!(create_key_file(&path, [1; 32]).unwrap_err().kind(), SealErrorKind::KeyFile, "{path:?}");
        }
    }
}
