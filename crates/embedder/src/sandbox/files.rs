//! Limits the right to open files by Landlock.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::Needs;

/// The newest version of Landlock whose rights are denied; an older kernel denies those that it has.
const NEWEST: ABI = ABI::V9;

/// Readable in the sandbox: an engine sizes its blocks by the caches that are described here.
const PROCESSORS: &str = "/sys/devices/system/cpu";

/// The model's files whose links are followed: a model hub's cache links into another directory.
const MODEL_FILES: [&str; 2] = ["config.json", "model.safetensors"];

type Inode = (u64, u64);

/// The files that can be read in the sandbox, as they were when it was entered: the model's directory, and files outside of it
/// that are linked from it.
pub struct ReadableFiles {
    directory: PathBuf,
    /// `None` if it does not exist.
    inode: Option<Inode>,
    linked: Vec<(PathBuf, Inode)>,
    unbounded: bool,
}

impl ReadableFiles {
    /// The current state.
    pub fn of(directory: &Path) -> Self {
        let linked = links(directory).filter_map(|path| Some((path.clone(), inode(&path)?))).collect();
        Self { directory: directory.to_owned(), inode: inode(directory), linked, unbounded: false }
    }

    /// All files.
    pub fn unbounded(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), inode: None, linked: Vec::new(), unbounded: true }
    }

    /// Whether the model's files are still among them. Only a new process can read a directory that was created, replaced or
    /// linked elsewhere since.
    pub fn include_the_model(&self) -> bool {
        let covered = |path: PathBuf| inode(&path).is_none_or(|found| self.linked.iter().any(|(_, of)| *of == found));
        self.unbounded || (inode(&self.directory) == self.inode && links(&self.directory).all(covered))
    }
}

/// The model's files that are links.
fn links(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let paths = MODEL_FILES.map(|name| directory.join(name)).into_iter();
    paths.filter(|path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()))
}

fn inode(path: &Path) -> Option<Inode> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Limits this thread, and threads it starts, to reading the files in `needs`. Returns the version of Landlock in force, or
/// why there is none.
pub fn restrict(needs: &Needs<'_>, readable: &ReadableFiles) -> Result<u8, String> {
    let status = rules(needs, readable).and_then(RulesetCreated::restrict_self).map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("the kernel has it, but it is not enabled (boot with lsm=landlock,…)".to_owned())
        }
        (RulesetStatus::NotEnforced, _) => Err("the kernel lacks it, or a container forbids it".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as u8),
        _ => Err("the kernel does not report its version".to_owned()),
    }
}

fn rules(needs: &Needs<'_>, readable: &ReadableFiles) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let linked = readable.linked.iter().map(|(path, _)| path.as_path());
    let files = needs.files.iter().map(PathBuf::as_path).chain(linked);
    let directories = [(needs.model, read), (Path::new(PROCESSORS), read)];
    let socket = needs.socket_directory.map(|directory| (directory, AccessFs::RemoveFile.into()));
    for (path, rights) in directories.into_iter().chain(socket) {
        rules = allow(rules, path, rights)?;
    }
    for path in files {
        rules = allow(rules, path, AccessFs::ReadFile.into())?;
    }
    Ok(rules)
}

/// Adds a rule, unless the path cannot be opened.
fn allow(rules: RulesetCreated, path: &Path, rights: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(rules) };
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
    if rights.is_empty() {
        return Ok(rules);
    }
    rules.add_rule(PathBeneath::new(opened, rights))
}
