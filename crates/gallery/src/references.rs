//! Characters beyond ASCII as character references.

use std::fmt::Write;

/// Bytes between two calls of `check`.
const STRIDE: usize = 1 << 20;

/// The document with every character beyond ASCII as a reference, and control characters as U+FFFD, because HTML has no
/// references for them. Raw text (`<style>`) must be ASCII already.
pub fn to_ascii(html: String, check: &mut dyn FnMut()) -> String {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    let stays = html.as_bytes().chunks(STRIDE).all(|chunk| {
        check();
        chunk.iter().all(plain)
    });
    if stays {
        return html;
    }
    let mut ascii = String::with_capacity(html.len() + html.len() / 8);
    let mut rest = html.as_str();
    while let Some(character) = rest.chars().next() {
        let run = rest.as_bytes().iter().take(STRIDE).position(|byte| !plain(byte)).unwrap_or(rest.len().min(STRIDE));
        check();
        if run > 0 {
            ascii.push_str(&rest[..run]);
            rest = &rest[run..];
            continue;
        }
        match character {
            control if control.is_control() => ascii.push_str("&#xFFFD;"),
            other => {
                // Writing to a String does not fail.
                let _ = write!(ascii, "&#x{:X};", u32::from(other));
            }
        }
        rest = &rest[character.len_utf8()..];
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascii_is_left() {
        assert_eq!(to_ascii("plain\n\ttext".into(), &mut || {}), "plain\n\ttext");
        assert_eq!(
            to_ascii("é \u{1F3D6} \0\r\u{85}.".into(), &mut || {}),
            "&#xE9; &#x1F3D6; &#xFFFD;&#xFFFD;&#xFFFD;."
        );
    }

    #[test]
    fn long_documents_are_checked_on_the_way() {
        let mut checks = 0;
        let long = "a".repeat(3 * STRIDE) + "é" + &"b".repeat(STRIDE);
        let ascii = to_ascii(long.clone(), &mut || checks += 1);
        assert_eq!(ascii, long.replace('é', "&#xE9;"));
        assert!(checks >= 7, "{checks}");
    }
}
