//! An unsupported major version of Postgres is refused in one sentence: by make, by the setup, and by cargo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use e2e::checkout;

use crate::support::prelude::*;

/// Runs a command in the checkout that has to fail; returns what it prints.
fn failing(command: &mut Command) -> Result<String> {
    let output = command.current_dir(checkout()).output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{text}");
    Ok(text)
}

fn make(arguments: &[&str]) -> Result<String> {
    failing(Command::new("make").args(arguments).env_remove("PG_CONFIG").env_remove("PG").env_remove("MAKEFLAGS"))
}

/// The pg_config of a server of that version, as far as it is asked before anything is built.
fn pretend(directory: &Path, version: &str) -> Result<String> {
    let path = directory.join("pg_config");
    let bindir = directory.display();
    fs::write(
        &path,
        format!("#!/bin/sh\ncase $1 in --bindir) echo '{bindir}';; *) echo 'PostgreSQL {version}';; esac\n"),
    )?;
    fs::write(directory.join("postgres"), "")?;
    for file in [&path, &directory.join("postgres")] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(path.display().to_string())
}

#[test]
fn make_refuses_another_major() -> Result<()> {
    for (wanted, sentence) in [
        ("14", "PG=14: PostgreSQL 14 is not supported, use 15 to 18"),
        ("19", "PG=19: PostgreSQL 19 is not supported yet, use 15 to 18"),
        ("abc", "PG=abc: not a major version of Postgres, use 15 to 18"),
        ("17.2", "PG=17.2: not a major version of Postgres, use 15 to 18"),
    ] {
        for target in ["test", "build", "install"] {
            let text = make(&[target, &format!("PG={wanted}")])?;
            assert!(text.contains(sentence), "make {target} PG={wanted}: {text}");
        }
    }
    let directory = tempfile::tempdir()?;
    let old = pretend(directory.path(), "14.20")?;
    for target in ["build", "install", "test"] {
        let text = make(&[target, &format!("PG_CONFIG={old}")])?;
        assert!(text.contains("PostgreSQL 14 is not supported, use 15 to 18"), "{text}");
    }
    Ok(())
}

#[test]
fn cargo_refuses_another_major() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("build");
    let mut compiler = Command::new("rustc");
    compiler.args(["--edition=2024", "-o"]).arg(&script).arg("build.rs").current_dir(checkout());
    assert!(compiler.status()?.success());
    let other = pretend(directory.path(), "17.2")?;
    let cases: [(&[&str], Option<&String>, &str); 6] = [
        (&["14"], None, "PostgreSQL 14 is not supported: it has reached its end"),
        (&["15", "19"], None, "PostgreSQL 19 is not supported yet"),
        (&[], None, "choose the major of PostgreSQL"),
        (&["15", "17"], None, "several majors of PostgreSQL are chosen ([15, 17])"),
        (&["15"], Some(&other), "is PostgreSQL 17.2, but the feature pg15 is chosen"),
        (&["17"], Some(&other), ""),
    ];
    for (features, pg_config, sentence) in cases {
        let mut command = Command::new(&script);
        command.env_clear();
        for major in features {
            command.env(format!("CARGO_FEATURE_PG{major}"), "1");
        }
        if let Some(path) = pg_config {
            command.env("PG_CONFIG", path).env("PATH", "/usr/bin:/bin");
        }
        let printed = String::from_utf8(command.output()?.stdout)?;
        let error = printed.lines().find_map(|line| line.strip_prefix("cargo::error=")).unwrap_or_default();
        assert!(error.contains(sentence) && error.is_empty() == sentence.is_empty(), "{features:?}: {printed}");
    }
    Ok(())
}
