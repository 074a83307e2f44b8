//! The pages for readers: links lead to a file and a heading, paths exist, and so do the targets of `make`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use e2e::checkout;

use crate::support::prelude::*;

/// Folders whose paths are checked where a page writes one as code.
const FOLDERS: [&str; 10] =
    ["src/", "crates/", "tests/", "tools/", "sql/", "fuzz/", "docs/", "pgvector_setup/", "monitoring/", "examples/"];

#[test]
fn links_lead_to_a_file_and_a_heading() -> Result<()> {
    let mut broken = Vec::new();
    for page in pages()? {
        let text = fs::read_to_string(&page)?;
        for (_, rest) in text.match_indices("](").map(|(at, _)| text[at..].split_at(2)) {
            let target: String = rest.split(')').next().unwrap_or_default().split_whitespace().collect();
            if target.starts_with("http") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            if !file.exists() || !(anchor.is_empty() || headings(&file)?.contains(anchor)) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    Ok(())
}

#[test]
fn paths_and_make_targets_exist() -> Result<()> {
    let makefile = fs::read_to_string(checkout().join("Makefile"))?;
    let mut missing = Vec::new();
    for page in pages()? {
        let text = fs::read_to_string(&page)?;
        for code in text.split('`').skip(1).step_by(2) {
            let word = code.split_whitespace().next().unwrap_or_default();
            let is_path = FOLDERS.iter().any(|folder| word.starts_with(folder)) && !word.contains(['*', '<', '…']);
            if is_path && !checkout().join(word.split(':').next().unwrap_or(word)).exists() {
                missing.push(format!("{}: {word}", page.display()));
            }
        }
        for (at, _) in text.match_indices("make ").filter(|&(at, _)| at > 0 && "`\n".contains(&text[at - 1..at])) {
            let target = text[at + 5..]
                .split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
                .next()
                .unwrap_or_default();
            if !target.is_empty() && !makefile.contains(&format!("\n{target}:")) {
                missing.push(format!("{}: make {target}", page.display()));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}

fn pages() -> Result<Vec<PathBuf>> {
    let names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"];
    let mut pages: Vec<PathBuf> = names.iter().map(|name| checkout().join(name)).collect();
    for entry in fs::read_dir(checkout().join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    Ok(pages)
}

/// The anchors of a page: headings in lower case, with hyphens for blanks and without punctuation.
fn headings(page: &Path) -> Result<HashSet<String>> {
    let text = fs::read_to_string(page)?;
    let titles = text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    Ok(titles
        .map(|title| {
            title
                .to_lowercase()
                .chars()
                .filter_map(|c| match c {
                    ' ' => Some('-'),
                    '-' | '_' => Some(c),
                    _ => c.is_alphanumeric().then_some(c),
                })
                .collect()
        })
        .collect())
}
