//! The programs of Debian's packages prometheus, prometheus-sql-exporter and prometheus-postgres-exporter.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::support::prelude::*;

/// The programs, if all of them are on this machine.
pub struct Programs {
    pub prometheus: PathBuf,
    pub promtool: PathBuf,
    pub sql_exporter: PathBuf,
    pub postgres_exporter: PathBuf,
}

impl Programs {
    /// Looks where the packages install them, and where `pgvector_setup/monitoring-programs` unpacks them. Prints a line
    /// and returns `None` if one is missing.
    pub fn find() -> Result<Option<Self>> {
        let cache = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        let unpacked = cache.map(|cache| cache.join("pg_pinterest/monitoring"));
        let places: Vec<PathBuf> = [PathBuf::from("/usr/bin")].into_iter().chain(unpacked).collect();
        let find = |name: &str| places.iter().map(|place| place.join(name)).find(|path| path.is_file());
        let found = (
            find("prometheus"),
            find("promtool"),
            find("prometheus-sql-exporter"),
            find("prometheus-postgres-exporter"),
        );
        if let (Some(prometheus), Some(promtool), Some(sql_exporter), Some(postgres_exporter)) = found {
            return Ok(Some(Self { prometheus, promtool, sql_exporter, postgres_exporter }));
        }
        // Bypasses libtest, which shows no output of tests that pass.
        writeln!(
            std::io::stderr(),
            "\nSKIPPED: Prometheus or one of its exporters is missing (pgvector_setup/install --with-tests)"
        )?;
        Ok(None)
    }

    /// Runs promtool, which must succeed, and returns what it prints.
    pub fn promtool(&self, arguments: &[&str], file: &Path) -> Result<String> {
        let output = Command::new(&self.promtool).args(arguments).arg(file).stdin(Stdio::null()).output()?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        if !output.status.success() {
            bail!("promtool {} {}: {text}", arguments.join(" "), file.display());
        }
        Ok(text)
    }
}
