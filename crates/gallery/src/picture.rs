//! Pictures, by address or by their bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::Render;

use crate::Address;

/// A picture that a page may show; rendered as the value of `src`.
#[derive(Clone, PartialEq, Eq)]
pub enum Picture {
    /// Loaded when the page is opened.
    Linked(Address),
    /// Contained in the page.
    Embedded {
        /// One of the four types of [`Picture::embedded`].
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

    /// The greatest number of bytes that the picture takes in a page.
    pub(crate) fn length(&self) -> usize {
        match self {
            Picture::Linked(address) => 6 * address.as_str().len(),
            Picture::Embedded { bytes, .. } => 32 + bytes.len().div_ceil(3) * 4,
        }
    }

    /// The bytes of a picture that the page contains; of a linked one none.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Picture::Linked(_) => &[],
            Picture::Embedded { bytes, .. } => bytes,
        }
    }

    /// A picture file; `None` if it does not begin like a JPEG, PNG, WebP or GIF. An SVG can contain scripts and is refused.
    pub fn embedded(bytes: Vec<u8>) -> Option<Self> {
        media_type(&bytes).map(|media_type| Picture::Embedded { media_type, bytes })
    }
}

/// The type by the file's first bytes, never by a declaration.
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
            // Needs no escaping: the types are constants, and base64 contains no special characters of HTML.
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
    fn the_first_bytes_decide_the_type() {
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
