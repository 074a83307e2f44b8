//! The user that servers run as: Postgres refuses to run as root.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Context;

use crate::Result;
use crate::checkout::{run, script};

/// The user that servers and their helpers run as: the current user, or `postgres` if that is root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUser {
    name: String,
    /// User and group to change to; `None` if the process already runs as that user.
    ids: Option<(u32, u32)>,
}

impl ServerUser {
    /// The user for this process, determined once.
    pub fn get() -> Result<&'static Self> {
        static USER: OnceLock<ServerUser> = OnceLock::new();
        if let Some(user) = USER.get() {
            return Ok(user);
        }
        let user = Self::find()?;
        Ok(USER.get_or_init(|| user))
    }

    fn find() -> Result<Self> {
        let name = script("tools/server-user", &[])?.to_string_lossy().into_owned();
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { name, ids: None });
        }
        let id = |flag: &str| -> Result<u32> {
            let output = run(Command::new("id").args([flag, &name]))?;
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .with_context(|| format!("id {flag} {name} does not print a number"))
        };
        Ok(Self { ids: Some((id("-u")?, id("-g")?)), name })
    }

    /// Name of the operating-system user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs as this user without the caller's environment (PG* variables, proxy, locale).
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("LC_ALL", "C.UTF-8");
        command.current_dir("/");
        if let Some((user, group)) = self.ids {
            // The standard library also drops the supplementary groups.
            command.uid(user).gid(group);
        }
        command
    }

    /// Gives a file or an empty directory to this user.
    pub fn own(&self, path: &Path) -> Result<()> {
        if let Some((user, group)) = self.ids {
            chown(path, Some(user), Some(group)).with_context(|| format!("cannot chown {}", path.display()))?;
        }
        Ok(())
    }

    /// Creates a directory that only this user can enter.
    pub fn private_directory(&self, path: &Path) -> Result<()> {
        let context = || format!("cannot make {}", path.display());
        std::fs::create_dir(path).with_context(context)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).with_context(context)?;
        self.own(path)
    }
}
