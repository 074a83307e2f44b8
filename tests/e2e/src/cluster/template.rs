//! A data directory made once by initdb and copied for every cluster, which is ten times faster.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::SUPERUSER;
use crate::Result;
use crate::checkout::{run, runtime_directory};
use crate::installation::Installation;
use crate::server_user::ServerUser;

/// A data directory that no server has ever run on.
#[derive(Debug)]
pub(super) struct Template {
    data: PathBuf,
}

impl Template {
    /// The template for an installation, made on first use by one of the test processes.
    pub(super) fn of(installation: &Installation) -> Result<Self> {
        let templates = runtime_directory("cluster-templates")?;
        let name: String =
            installation.version().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let data = templates.join(&name);

        let lock = File::create(templates.join(format!("{name}.lock"))).context("cannot lock the cluster template")?;
        lock.lock().context("cannot lock the cluster template")?;
        if !data.exists() {
            Self::initialise(installation, &data, &templates.join(format!("{name}.new")))?;
        }
        Ok(Self { data })
    }

    fn initialise(installation: &Installation, data: &Path, unfinished: &Path) -> Result<()> {
        let user = ServerUser::get()?;
        if unfinished.exists() {
            fs::remove_dir_all(unfinished).context("cannot remove an unfinished cluster template")?;
        }
        user.private_directory(unfinished)?;
        initdb(installation, unfinished)?;
        fs::rename(unfinished, data).context("cannot put the cluster template in place")
    }

    /// Copies it to a path that does not exist yet.
    pub(super) fn copy_to(&self, data: &Path) -> Result<()> {
        let mut copy = ServerUser::get()?.command("cp");
        copy.args(["-R", "-p", "--"]).arg(&self.data).arg(data);
        run(&mut copy).map(drop)
    }
}

/// Makes a data directory.
pub(super) fn initdb(installation: &Installation, data: &Path) -> Result<()> {
    let mut initdb = ServerUser::get()?.command(installation.program("initdb"));
    initdb
        .args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        .args(["--no-instructions", "--pgdata"])
        .arg(data);
    run(&mut initdb).map(drop)
}
