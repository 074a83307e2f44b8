//! Reads the chunks of a WebP that contain its image (RFC 9649, 2.3 to 2.7).
//!
//! All others are skipped: a profile does not affect the pixels, and neither does the alpha channel (ALPH), which is dropped.

use std::fmt::Display;

use crate::error::Error;

pub const FORMAT: &str = "WebP";

/// The flag in VP8X for EXIF.
const EXIF_FLAG: u8 = 0b1000;

/// Bytes of an ANMF chunk before its own chunks.
const FRAME_HEADER: usize = 16;

/// The image's chunks.
#[derive(Default)]
pub struct Chunks<'a> {
    /// Width and height in VP8X, in pixels.
    pub canvas: Option<(u32, u32)>,
    /// The first frame.
    pub frame: Frame<'a>,
    /// EXIF, if the flags of VP8X announce it.
    pub exif: Option<&'a [u8]>,
    /// Frames of the animation; 0 without one.
    pub frames: usize,
}

/// A stored frame.
#[derive(Default)]
pub struct Frame<'a> {
    /// `VP8 ` or `VP8L`.
    pub kind: [u8; 4],
    /// The compressed pixels.
    pub content: &'a [u8],
    /// Left and top of an animation's frame on the canvas, in pixels. As in libwebp, the size of the pixels counts, not the one
    /// stated beside these.
    pub place: Option<(u32, u32)>,
}

impl<'a> Chunks<'a> {
    /// Reads the chunks of a file that begins as WebP.
    ///
    /// The length in the container is only used to end the search after the image: there are files with a wrong length that
    /// contain the whole image.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let claimed = bytes[4..].first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
        let mut chunks = Chunks::default();
        let mut flags = 0;
        let mut walk = Walk { bytes, at: 12 };
        // Without VP8X, no chunk after the frame belongs to the image.
        let ends = |chunks: &Chunks<'_>, at| chunks.canvas.is_none() || at >= claimed.saturating_add(8);
        while !(chunks.is_found() && ends(&chunks, walk.at)) {
            let Some(chunk) = walk.next() else { break };
            let content = chunk.content.ok_or_else(|| Error::truncated(FORMAT, bytes))?;
            match &chunk.kind {
                b"VP8X" if !chunks.is_found() => {
                    let [first, _, _, _, canvas @ ..] =
                        content.first_chunk::<10>().ok_or_else(|| damaged("its header is too short"))?;
                    flags = *first;
                    chunks.canvas = Some((number(&canvas[..3]) + 1, number(&canvas[3..]) + 1));
                }
                b"VP8 " | b"VP8L" if !chunks.is_found() => {
                    chunks.frame = Frame { kind: chunk.kind, content, place: None };
                }
                b"ANMF" => {
                    chunks.frames += 1;
                    if !chunks.is_found() {
                        chunks.frame = Frame::of_animation(content)?;
                    }
                }
                b"EXIF" if flags & EXIF_FLAG != 0 && chunks.exif.is_none() => chunks.exif = Some(content),
                _ => {}
            }
        }
        match chunks.is_found() {
            true => Ok(chunks),
            // The file ends between two chunks.
            false if claimed.saturating_add(8) > bytes.len() => Err(Error::truncated(FORMAT, bytes)),
            false => Err(damaged("it has no pixels")),
        }
    }

    fn is_found(&self) -> bool {
        !self.frame.kind.starts_with(&[0])
    }
}

impl<'a> Frame<'a> {
    fn of_animation(content: &'a [u8]) -> Result<Self, Error> {
        let header: &[u8; FRAME_HEADER] =
            content.first_chunk().ok_or_else(|| damaged("the header of a frame is too short"))?;
        let place = Some((2 * number(&header[..3]), 2 * number(&header[3..6])));
        let frame = Walk { bytes: content, at: FRAME_HEADER }
            .find(|chunk| matches!(&chunk.kind, b"VP8 " | b"VP8L"))
            .and_then(|chunk| Some(Frame { kind: chunk.kind, content: chunk.content?, place }));
        frame.ok_or_else(|| damaged("a frame has no pixels"))
    }

    /// Whether the compression is lossy.
    pub fn is_lossy(&self) -> bool {
        self.kind == *b"VP8 "
    }

    /// Width and height, in pixels: of a lossy frame by RFC 6386, 9.1, without the two bits of a scale that decoders leave
    /// to the viewer; of a lossless one by RFC 9649, 3.4.
    pub fn size(&self) -> Option<(u32, u32)> {
        match *self.content {
            [_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..] if self.is_lossy() => {
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
                Some((side(w0, w1), side(h0, h1)))
            }
            [0x2F, b0, b1, b2, b3, ..] if !self.is_lossy() => {
                let bits = u32::from_le_bytes([b0, b1, b2, b3]);
                Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
            }
            _ => None,
        }
    }

    /// A file with only this frame.
    pub fn file(&self) -> Vec<u8> {
        let padding = self.content.len() % 2;
        let mut file = Vec::with_capacity(20 + self.content.len() + padding);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&((12 + self.content.len() + padding) as u32).to_le_bytes());
        file.extend_from_slice(b"WEBP");
        file.extend_from_slice(&self.kind);
        file.extend_from_slice(&(self.content.len() as u32).to_le_bytes());
        file.extend_from_slice(self.content);
        file.resize(file.len() + padding, 0);
        file
    }
}

/// A little-endian number of three bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

pub fn damaged(reason: impl Display) -> Error {
    Error::damaged(FORMAT, reason)
}

struct Chunk<'a> {
    kind: [u8; 4],
    /// `None` if it exceeds its container.
    content: Option<&'a [u8]>,
}

/// Iterates over the chunks.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (kind, rest) = self.bytes.get(self.at..)?.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        // A chunk of odd length is followed by a byte of padding, which the last one may lack.
        self.at = self.at.saturating_add(8).saturating_add(length.next_multiple_of(2));
        Some(Chunk { kind: *kind, content: rest.get(..length) })
    }
}
