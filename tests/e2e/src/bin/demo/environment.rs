//! `target/demo/env`: the environment of a demo that was left running, for scripts to source.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use e2e::Result;

const FILE: &str = "env";

/// Connection and paths for scripts that use the demo.
pub struct Environment {
    pub host: PathBuf,
    pub port: u16,
    pub user: &'static str,
    pub database: &'static str,
    pub sandbox: String,
    pub client_id: String,
    pub client_secret: String,
    pub model: PathBuf,
    pub embedder: PathBuf,
}

impl Environment {
    /// Shell assignments and an export.
    fn text(&self) -> String {
        let variables = [
            ("PGHOST", self.host.display().to_string()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.to_string()),
            ("PGDATABASE", self.database.to_string()),
            ("PINTEREST_SANDBOX_URL", self.sandbox.clone()),
            ("PINTEREST_CLIENT_ID", self.client_id.clone()),
            ("PINTEREST_CLIENT_SECRET", self.client_secret.clone()),
            ("CLIP_MODEL_DIR", self.model.display().to_string()),
            ("EMBEDDER", self.embedder.display().to_string()),
        ];
        let mut text = String::new();
        for (name, value) in &variables {
            text += &format!("{name}={}\n", quoted(value));
        }
        let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
        text + "export " + &names.join(" ") + "\n"
    }

    pub fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        fs::write(&path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn remove(directory: &Path) -> Result<()> {
        match fs::remove_file(directory.join(FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("cannot remove the demo's env")
            }
            _ => Ok(()),
        }
    }

    /// Prints how to connect and how to stop.
    pub fn explain(&self) {
        println!(
            "\nEverything is left running.\n  connect:  psql -h {} -p {} -U {} {}\n  scripts:  . target/demo/env\n  the app:  make example\n  stop:     make demo-stop",
            self.host.display(),
            self.port,
            self.user,
            self.database,
        );
    }
}

/// Quotes a value for the shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_can_source_the_file() {
        let environment = Environment {
            host: "/tmp/it's a $place".into(),
            port: 5433,
            user: "postgres",
            database: "postgres",
            sandbox: "https://localhost:1".into(),
            client_id: "1".into(),
            client_secret: "an example".into(),
            model: "/m".into(),
            embedder: "/e".into(),
        };
        let directory = tempfile::tempdir().unwrap();
        environment.write(directory.path()).unwrap();
        let output = std::process::Command::new("sh")
            .args(["-c", r#". ./env && sh -c 'printf %s "$PGHOST $PGPORT $EMBEDDER"'"#])
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "/tmp/it's a $place 5433 /e");
        Environment::remove(directory.path()).unwrap();
        Environment::remove(directory.path()).unwrap();
    }
}
