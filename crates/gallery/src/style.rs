//! The page's style sheet, and the policy that allows it and pictures, and nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// ASCII only, because references have no meaning inside `<style>`.
pub const CSS: &str = include_str!("page.css");

/// The Content-Security-Policy. It contains the digest of the style sheet, so that no other style, in an element or an
/// attribute, has an effect.
pub fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(CSS));
    format!(
        "default-src 'none'; img-src https: data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_can_be_part_of_the_page() {
        assert!(CSS.is_ascii());
        assert!(!CSS.contains("</"), "nothing ends the element early");
        assert!(!CSS.contains("url(") && !CSS.contains("@import"), "nothing is loaded");
    }
}
