//! `release-data PATH`: makes the data of a release, PATH.sql and PATH.key, for `tools/freeze-release`.

use std::path::Path;

use anyhow::Context;
use e2e::{Result, release};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: release-data PATH")?;
    release::Data::at(Path::new(&path)).make(&release::world().start()?)
}
