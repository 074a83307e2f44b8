//! Refuses unsupported majors of Postgres, and keeps pgrx's schema entries in the library.
//!
//! The entries are in a separate section without references, which some linkers drop. cargo-pgrx prevents that with RUSTFLAGS,
//! which compiles every dependency again; this argument applies to this library only.

use std::process::Command;

const SUPPORTED: [u32; 4] = [15, 16, 17, 18];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PG_CONFIG");
    if let Err(sentence) = check_major() {
        println!("cargo::error={sentence}");
    }
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--no-gc-sections");
    }
}

/// Exactly one supported major is chosen, and it is that of the server that PG_CONFIG names, if it names one.
fn check_major() -> Result<(), String> {
    let chosen: Vec<u32> =
        (14..=19).filter(|major| std::env::var_os(format!("CARGO_FEATURE_PG{major}")).is_some()).collect();
    let major = match chosen.as_slice() {
        [14, ..] => return Err("PostgreSQL 14 is not supported: it has reached its end. Use 15 to 18.".into()),
        [.., 19] => {
            return Err("PostgreSQL 19 is not supported yet: the pgrx that Cargo.toml names has no bindings for it \
                 (CONTRIBUTING.md has the steps). Use 15 to 18."
                .into());
        }
        [major] if SUPPORTED.contains(major) => *major,
        [] => return Err("choose the major of PostgreSQL: --features pg15, pg16, pg17 or pg18".into()),
        several => {
            return Err(format!(
                "several majors of PostgreSQL are chosen ({several:?}): the default is pg15, and another one is chosen \
                 with --no-default-features --features pg17"
            ));
        }
    };
    let Ok(pg_config) = std::env::var("PG_CONFIG") else { return Ok(()) };
    let Ok(output) = Command::new(&pg_config).arg("--version").output() else { return Ok(()) };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let digits: String = version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(found) if !SUPPORTED.contains(&found) => {
            Err(format!("PG_CONFIG={pg_config} is {version}; PostgreSQL 15 to 18 are supported"))
        }
        Ok(found) if found != major => Err(format!(
            "PG_CONFIG={pg_config} is {version}, but the feature pg{major} is chosen: \
             --no-default-features --features pg{found} chooses it, and so does make"
        )),
        _ => Ok(()),
    }
}
