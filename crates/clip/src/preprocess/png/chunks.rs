//! Reads the chunks of a PNG that contain its image (PNG specification, third edition, 5 and 11; APNG is part of it).
//!
//! All others are skipped: a decoder that reads them would refuse images with a damaged profile or comment, which browsers
//! accept.

use std::fmt::Display;

use crate::error::Error;

pub const FORMAT: &str = "PNG";

/// The bytes before the chunks.
pub const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1A\n";

/// Bytes of the header's fields.
const HEADER_BYTES: usize = 13;

/// Bytes of the longest palette.
const LONGEST_PALETTE: usize = 256 * 3;

/// The image's chunks.
pub struct Chunks<'a> {
    /// IHDR: width and height (4 bytes each, big-endian), bit depth, colour type, compression, filter, interlace.
    pub header: &'a [u8; HEADER_BYTES],
    /// Whether its checksum is right.
    pub header_is_sound: bool,
    /// PLTE, three bytes per colour.
    pub palette: Option<&'a [u8]>,
    /// The contents of the first run of IDAT chunks, which are the compressed pixels.
    pub data: Vec<&'a [u8]>,
    /// eXIf.
    pub exif: Option<&'a [u8]>,
    /// Frames of the animation: those announced before the pixels that are present. 0 without an animation.
    pub frames: usize,
    /// Whether the file ends before the end chunk.
    pub cut_off: bool,
}

impl<'a> Chunks<'a> {
    /// Width and height, in pixels.
    pub fn size(&self) -> (u32, u32) {
        let (numbers, _) = self.header.as_chunks::<4>();
        (u32::from_be_bytes(numbers[0]), u32::from_be_bytes(numbers[1]))
    }

    /// Whether the rows come in seven passes.
    pub fn is_interlaced(&self) -> bool {
        self.header[12] != 0
    }

    /// Whether the pixels are palette indices.
    pub fn is_indexed(&self) -> bool {
        self.header[9] == 3
    }

    /// Reads the chunks of a file that begins with the signature.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut walk = Walk { bytes, at: SIGNATURE.len() };
        let first = walk.find(|chunk| chunk.kind == *b"IHDR");
        let Some((header, header_is_sound)) =
            first.and_then(|first| Some((first.content.first_chunk()?, first.is_sound())))
        else {
            return Err(match bytes.len() < SIGNATURE.len() + 12 + HEADER_BYTES {
                true => Error::truncated(FORMAT, bytes),
                false => damaged("it has no header"),
            });
        };
        let mut chunks =
            Chunks { header, header_is_sound, palette: None, data: vec![], exif: None, frames: 0, cut_off: true };
        let (mut announced, mut found) = (0, 0);
        let mut after_pixels = false;
        for chunk in walk {
            if chunk.kind != *b"IDAT" {
                after_pixels = !chunks.data.is_empty();
            }
            match &chunk.kind {
                b"IDAT" if after_pixels => {}
                // A list of many empty ones would take more memory than the file.
                b"IDAT" if chunk.content.is_empty() => {}
                b"IDAT" => chunks.data.push(chunk.content),
                b"IEND" => {
                    chunks.cut_off = false;
                    break;
                }
                b"PLTE" if chunk.is_sound() && !after_pixels => {
                    let colours = chunk.content.len() / 3 * 3;
                    chunks.palette = Some(&chunk.content[..colours.min(LONGEST_PALETTE)]);
                }
                b"PLTE" if !after_pixels && !chunk.is_cut_off => {
                    return Err(damaged("its palette has a wrong checksum"));
                }
                b"acTL" if chunk.is_sound() && !after_pixels => {
                    announced = chunk.content.first_chunk().map_or(0, |count| u32::from_be_bytes(*count) as usize);
                }
                b"fcTL" => found += 1,
                b"eXIf" if chunk.is_sound() => chunks.exif = Some(chunk.content),
                _ => {}
            }
        }
        if chunks.data.is_empty() {
            return Err(if chunks.cut_off { Error::truncated(FORMAT, bytes) } else { damaged("it has no pixels") });
        }
        chunks.frames = announced.min(found);
        Ok(chunks)
    }

    /// A file with only these chunks, for a decoder that ignores checksums.
    pub fn file(&self) -> Vec<u8> {
        let data: usize = self.data.iter().map(|part| part.len()).sum();
        let mut file = Vec::with_capacity(data + LONGEST_PALETTE + 100);
        file.extend_from_slice(SIGNATURE);
        put(&mut file, b"IHDR", &[self.header]);
        if let Some(palette) = self.palette.filter(|_| self.is_indexed()) {
            put(&mut file, b"PLTE", &[palette]);
        }
        put(&mut file, b"IDAT", &self.data);
        put(&mut file, b"IEND", &[]);
        file
    }
}

fn put(file: &mut Vec<u8>, kind: &[u8; 4], parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    file.extend_from_slice(&(length as u32).to_be_bytes());
    file.extend_from_slice(kind);
    parts.iter().for_each(|part| file.extend_from_slice(part));
    // The checksum.
    file.extend_from_slice(&[0; 4]);
}

pub fn damaged(reason: impl Display) -> Error {
    Error::damaged(FORMAT, reason)
}

struct Chunk<'a> {
    kind: [u8; 4],
    /// Cut at the end of the file.
    content: &'a [u8],
    is_cut_off: bool,
    checksum: Option<u32>,
}

impl Chunk<'_> {
    fn is_sound(&self) -> bool {
        let mut found = crc32fast::Hasher::new();
        found.update(&self.kind);
        found.update(self.content);
        self.checksum == Some(found.finalize())
    }
}

/// Iterates over the chunks, to the end of the file or to invalid bytes.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (length, rest) = self.bytes.get(self.at..)?.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return None;
        }
        let length = u32::from_be_bytes(*length) as usize;
        let content = &rest[..length.min(rest.len())];
        let checksum = rest[content.len()..].first_chunk().map(|checksum| u32::from_be_bytes(*checksum));
        self.at += 12 + content.len();
        Some(Chunk { kind: *kind, content, is_cut_off: content.len() < length, checksum })
    }
}
