//! Secrets that must not be found, in every form in which a server writes values.

use std::fs;
use std::path::Path;

use memchr::memmem;

use crate::support::prelude::*;

/// A secret and its name for messages.
#[derive(Clone)]
pub struct Canary {
    name: &'static str,
    secret: String,
}

impl Canary {
    /// A secret, which must be too long to be found by chance.
    pub fn new(name: &'static str, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        assert!(secret.len() > 20, "{name} is so short that it may be found by chance");
        Self { name, secret }
    }

    /// The latest access and refresh token that the sandbox has issued for an account.
    pub fn tokens(world: &World, username: &str) -> [Self; 2] {
        let [Some(access), Some(refresh)] =
            [world.sandbox.valid_access_token(username), world.sandbox.valid_refresh_token(username)]
        else {
            panic!("{username} has no tokens")
        };
        [Self::new("access token", access), Self::new("refresh token", refresh)]
    }

    /// Whether the content contains the secret as text, as hexadecimal `bytea` or as decimal bytes of a dumped plan.
    pub fn is_in(&self, content: &[u8]) -> bool {
        let bytes = self.secret.as_bytes();
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
        [bytes, hexadecimal.as_bytes(), decimal.join(" ").as_bytes()]
            .into_iter()
            .any(|shape| memmem::find(content, shape).is_some())
    }
}

/// The server's log in one line, because a dumped plan breaks its lists of bytes into lines.
pub fn log_in_one_line(world: &World) -> Result<String> {
    Ok(one_line(&world.cluster.log()?))
}

pub fn one_line(log: &str) -> String {
    log.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

impl PartialEq for Canary {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

/// Requires that the content contains none of the secrets.
pub fn assert_absent(canaries: &[Canary], place: &str, content: &[u8]) {
    for canary in canaries {
        assert!(!canary.is_in(content), "the {} is in {place}", canary.name);
    }
}

/// Requires that no file in or below the directory contains one of the secrets.
pub fn assert_absent_below(canaries: &[Canary], directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => assert_absent_below(canaries, &entry.path())?,
            // Sockets have no content; a file may have been removed.
            kind if kind.is_file() => {
                if let Ok(content) = fs::read(entry.path()) {
                    assert_absent(canaries, &entry.path().display().to_string(), &content);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[test]
fn every_form_is_found() {
    let canary = Canary::new("secret", "a secret of some length");
    for content in [
        "$1 = 'a secret of some length'",
        "\\x006120736563726574206f6620736f6d65206c656e677468",
        &one_line("[ 97 32 115 101 99 114 101 116 32 111 102 32\n\t  115 111 109 101 32 108 101 110 103 116 104 ]"),
    ] {
        assert!(canary.is_in(content.as_bytes()), "{content}");
    }
    assert!(!canary.is_in(b"aa secret of some lengt"));
}
