//! Writes a file so that it is either complete or missing.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Writes a file by `fill` beside `path`, flushes it to disk, and only then renames it to `path`.
///
/// A file that a killed process left unfinished is overwritten. Of two concurrent calls, the second waits for the first.
pub(crate) fn replace<T>(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = path.with_file_name(format!("{name}.unfinished"));
    let file = lock(&unfinished)?;
    // Shares the lock: held until the file is renamed, even if the writer is dropped.
    let _held = file.try_clone()?;
    let write = || {
        file.set_len(0)?;
        let mut file = BufWriter::new(file);
        let result = fill(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        if let Some(directory) = path.parent() {
            // The name itself is stored in the directory.
            File::open(directory)?.sync_all()?;
        }
        Ok(result)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

/// Opens or creates the file, locked until it is closed.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        // Regardless of the umask: a model that its group can write is refused.
        let file = File::options().create(true).truncate(false).write(true).mode(0o644).open(path)?;
        file.lock()?;
        // The previous holder of the lock may have renamed the file, which must not be written any more.
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (file.metadata()?.dev(), file.metadata()?.ino()) => {
                return Ok(file);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_failed_write_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "before").unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"half")?;
            Err::<(), _>(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_file_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(directory.path().join("file.unfinished"), "much longer than what comes").unwrap();
        replace(&path, |file| file.write_all(b"short")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn concurrent_writers_write_whole_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::thread::scope(|scope| {
            for writer in 0..8u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        replace(path, |file| file.write_all(&[writer; 100_000])).unwrap();
                        let found = fs::read(path).unwrap();
                        assert!(found.len() == 100_000 && found.iter().all(|byte| *byte == found[0]));
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
