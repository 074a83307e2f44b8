//! Reads files with secrets, and refuses files that others could read or replace.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Most bytes of such a file: enough for hundreds of secrets with comments.
const MAX_LENGTH: u64 = 64 * 1024;

/// The text of a file. It must be a regular file and not a symbolic link, belong to this process' user or to root, and give
/// no access to group and others.
///
/// # Errors
/// The violated rule, as the rest of a sentence that has named the file; never its content.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if is_link {
            "it is a symbolic link; name the file itself".to_owned()
        } else {
            failed("cannot be opened", &error)
        }
    })?;
    // Of the open file, not of the path, so that the file cannot be replaced in between.
    let metadata = file.metadata().map_err(|error| failed("cannot be examined", &error))?;
    let me = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(format!("it belongs to user {}, not to {me} (this process) or root", metadata.uid()));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!(
            "its mode is {:04o}; group and others must not have access: chmod 0600",
            metadata.mode() & 0o7777
        ));
    }
    // Capacity for all of it at once: a string that grows leaves copies behind.
    let mut text =
        Zeroizing::new(String::with_capacity(usize::try_from(metadata.len().min(MAX_LENGTH)).unwrap_or(0) + 1));
    file.take(MAX_LENGTH + 1).read_to_string(&mut text).map_err(|error| failed("cannot be read", &error))?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(format!("it has more than {MAX_LENGTH} bytes"));
    }
    Ok(text)
}

/// The system's reason for a failed step; it never contains the file's content.
pub(crate) fn failed(step: &str, error: &io::Error) -> String {
    format!("it {step}: {error}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(path: &Path, text: &[u8], mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn an_unsafe_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        write(&path("open"), b"canary", 0o644);
        write(&path("group"), b"canary", 0o640);
        write(&path("good"), b"canary", 0o400);
        write(&path("long"), &b"#\n".repeat(40_000), 0o600);
        write(&path("binary"), &[0xff; 32], 0o600);
        symlink(path("good"), path("link")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for (name, expected) in [
            ("missing", "cannot be opened"),
            ("open", "its mode is 0644"),
            ("group", "its mode is 0640"),
            ("long", "more than 65536 bytes"),
            ("binary", "cannot be read"),
            ("link", "it is a symbolic link"),
            ("directory", "it is not a regular file"),
            ("pipe", "it is not a regular file"),
        ] {
            let rule = read(&path(name)).unwrap_err();
            assert!(rule.contains(expected) && !rule.contains("canary"), "{name}: {rule}");
        }
        assert_eq!(*read(&path("good")).unwrap(), "canary");
    }

    #[test]
    fn another_users_file_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write(&path, b"canary", 0o600);
        std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
        assert!(read(&path).unwrap_err().contains("belongs to user 12345"));
    }
}
