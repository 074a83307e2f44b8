//! The program in Python.

use std::io::Write;
use std::process::{Command, Output};

use super::site::venues;
use crate::support::prelude::*;

/// Runs the program as the superuser. Prints a line and returns `None` if its libraries are not installed.
fn run(world: &World, python: &str, arguments: &[&str]) -> Result<Output> {
    let program = e2e::checkout().join("examples/venues.py");
    let mut command = Command::new(python);
    command.arg(program).args(arguments).env("PGHOST", world.cluster.socket_directory());
    command.envs([("PGUSER", "postgres"), ("PGDATABASE", "postgres")]).env("PGPORT", world.cluster.port().to_string());
    Ok(command.env("PYTHONDONTWRITEBYTECODE", "1").output()?)
}

/// A Python with psycopg and pgvector: that of `pgvector_setup/install --with-tests`, or the system's.
fn python() -> Result<Option<String>> {
    let own = e2e::checkout().join("target/python/bin/python3").display().to_string();
    for python in [own, "python3".to_owned()] {
        let asked = Command::new(&python).args(["-c", "import pgvector.psycopg, psycopg"]).output();
        if asked.is_ok_and(|output| output.status.success()) {
            return Ok(Some(python));
        }
    }
    // Bypasses libtest, which shows no output of tests that pass.
    writeln!(std::io::stderr(), "\nSKIPPED: no Python tests examples/venues.py: none has psycopg and pgvector")?;
    Ok(None)
}

#[test]
fn the_program_imports_a_board_and_prints_venues() -> Result<()> {
    let Some(python) = python()? else { return Ok(()) };
    let (world, mut client) = World::with_board("Barn wedding", 12)?.with_session()?;
    venues(&mut client)?;
    let output = run(&world, &python, &["Barn wedding", "-n", "4"])?;
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    // In a pipe there is no progress bar.
    assert!(said.is_empty() && !printed.contains(['\r', '\u{1b}', '█']), "{said} {printed}");
    let (for_board, like) = printed.split_once("More like ").unwrap_or_default();
    let names: Vec<String> = client.column(
        "SELECT v.name FROM pinterest_recommend('Barn wedding', 'venues', k => 4) r JOIN venues v ON v.id = r.key::bigint ORDER BY rank",
    )?;
    let rows: Vec<&str> = for_board.lines().skip(3).filter(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 4, "{printed}");
    assert!(
        rows.iter().zip(&names).all(|(row, name)| row.starts_with(name.as_str()) && row.contains("/pin/")),
        "{printed}"
    );
    assert_eq!(like.lines().count(), 6, "{printed}");
    assert!(for_board.contains("most like the pin") && !like.contains("most like the pin"), "{printed}");
    assert!(!like.lines().skip(2).any(|row| row.starts_with(names[0].as_str())), "{printed}");

    let output = run(&world, &python, &["No such board"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the import is failed"), "{said}");
    Ok(())
}
