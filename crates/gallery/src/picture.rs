//! Pictures, by address or with all their bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::Render;

use crate::Address;

/// A picture that a page may show; rendered as the value of `src`.
#[derive(Clone, PartialEq, Eq)]
pub enum Picture {
    /// Loaded by whoever opens the page.
    Linked(Address),
    /// Carried by the page.
    Embedded {
        /// One of the four types that [`Picture::embedded`] knows.
        media_type: &'static str,
        /// The file.
        bytes: Vec<u8>,
    },
}

impl Picture {
    /// A picture at an https address.
    pub fn linked(address: &str) -> Option<Self> {
        Address::parse(address).map(Picture::Linked)
    }

    /// Bytes that it takes in a page, at most.
    pub(crate) fn length(&self) -> usize {
        match self {
            Picture::Linked(address) => 6 * address.as_str().len(),
            Picture::Embedded { bytes, .. } => 32 + bytes.len().div_ceil(3) * 4,
        }
    }

    /// A picture file; `None` where it begins like no JPEG, PNG, WebP or GIF. An SVG, which can hold scripts, is none.
    pub fn embedded(bytes: Vec<u8>) -> Option<Self> {
        media_type(&bytes).map(|media_type| Picture::Embedded { media_type, bytes })
    }
}

/// By the file's first bytes: never by what somebody says it is.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ => None,
    }
}

impl Render for Picture {
    fn render_to(&self, buffer: &mut String) {
        match self {
            Picture::Linked(address) => address.render_to(buffer),
            // Nothing here needs escaping: the types are constants, and base64 has none of HTML's characters.
            Picture::Embedded { media_type, bytes } => {
                buffer.push_str("data:");
                buffer.push_str(media_type);
                buffer.push_str(";base64,");
                STANDARD.encode_string(bytes, buffer);
            }
        }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Picture::Linked(address) => formatter.debug_tuple("Linked").field(&address.as_str()).finish(),
            Picture::Embedded { media_type, bytes } => {
                write!(formatter, "Embedded({media_type}, {} bytes)", bytes.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_what_it_is() {
        let source = |bytes: &[u8]| Picture::embedded(bytes.to_vec()).map(|picture| picture.render().into_string());
        assert_eq!(source(b"\xff\xd8\xff\xe0").as_deref(), Some("data:image/jpeg;base64,/9j/4A=="));
        assert!(source(b"\x89PNG\r\n\x1a\n\0").unwrap().starts_with("data:image/png;base64,"));
        assert!(source(b"RIFF\x10\0\0\0WEBPVP8 ").unwrap().starts_with("data:image/webp;base64,"));
        assert!(source(b"GIF89a\x01\0").unwrap().starts_with("data:image/gif;base64,"));
        for refused in
            [&b""[..], b"\xff\xd8", b"<svg xmlns='http://www.w3.org/2000/svg'>", b"RIFF\x10\0\0\0WAVE", b"%PDF"]
        {
            assert_eq!(source(refused), None, "{refused:?}");
        }
    }
}
