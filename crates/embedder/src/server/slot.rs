//! Holds the model: loads it, and after a failure decides when to try again.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How long a failure is repeated without another attempt, while the directory does not change.
const PAUSE: Duration = Duration::from_secs(5);

/// Identifies a state of the model directory: the last change of its content or attributes, and of each file.
type Signature = [Option<(i64, i64)>; 3];

/// A model, or the failure to load it.
pub struct Slot<Model> {
    directory: PathBuf,
    state: State<Model>,
}

enum State<Model> {
    Empty,
    Loaded(Model),
    Failed { failure: Failure, at: Instant, signature: Signature },
}

impl<Model> Slot<Model> {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, state: State::Empty }
    }

    /// Returns the model. Loads it by `load` if it is not loaded, unless that has just failed and the directory has not
    /// changed since. A loaded model is kept even if its directory changes.
    pub fn get(
        &mut self,
        now: Instant,
        load: impl FnOnce(&Path) -> Result<Model, Failure>,
    ) -> Result<&mut Model, Failure> {
        let signature = match &self.state {
            State::Loaded(_) => None,
            State::Empty => Some(signature(&self.directory)),
            State::Failed { failure, at, signature: failed } => {
                let current = signature(&self.directory);
                if current == *failed && now.duration_since(*at) < PAUSE {
                    return Err(failure.clone());
                }
                Some(current)
            }
        };
        if let Some(signature) = signature {
            self.state = match load(&self.directory) {
                Ok(model) => State::Loaded(model),
                Err(failure) => State::Failed { failure, at: now, signature },
            };
        }
        match &mut self.state {
            State::Loaded(model) => Ok(model),
            State::Failed { failure, .. } => Err(failure.clone()),
            State::Empty => unreachable!("it was filled above: this is a bug"),
        }
    }
}

fn signature(directory: &Path) -> Signature {
    [".", "config.json", "model.safetensors"].map(|name| {
        let metadata = directory.join(name).metadata().ok()?;
        Some((metadata.ctime(), metadata.ctime_nsec()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use embedder::ErrorKind;

    use super::*;

    fn failing(_: &Path) -> Result<u32, Failure> {
        Err(Failure::new(ErrorKind::ModelMissing, "none"))
    }

    fn unexpected(_: &Path) -> Result<u32, Failure> {
        panic!("loaded again")
    }

    #[test]
    fn a_failure_is_remembered_for_the_pause() {
        let directory = tempfile::tempdir().unwrap();
        let mut slot = Slot::new(directory.path().to_owned());
        let start = Instant::now();
        assert!(slot.get(start, failing).is_err());
        assert!(slot.get(start + PAUSE / 2, unexpected).is_err());
        assert_eq!(slot.get(start + PAUSE, |_| Ok(7)), Ok(&mut 7));
        assert_eq!(slot.get(start + 9 * PAUSE, unexpected), Ok(&mut 7));
    }

    #[test]
    fn a_change_of_the_directory_ends_the_pause() {
        let directory = tempfile::tempdir().unwrap();
        let mut slot = Slot::new(directory.path().to_owned());
        let start = Instant::now();
        assert!(slot.get(start, failing).is_err());
        fs::write(directory.path().join("config.json"), "{}").unwrap();
        assert_eq!(slot.get(start, |_| Ok(7)), Ok(&mut 7));
    }

    #[test]
    fn a_loaded_model_outlives_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let mut slot = Slot::new(directory.path().to_owned());
        let start = Instant::now();
        assert_eq!(slot.get(start, |_| Ok(7)), Ok(&mut 7));
        drop(directory);
        assert_eq!(slot.get(start + PAUSE, unexpected), Ok(&mut 7));
    }
}
