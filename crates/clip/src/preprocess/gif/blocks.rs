//! Reads the blocks of a GIF's first image (GIF89a specification, 15 to 27) as Pillow does.

use std::fmt::Display;

use crate::error::Error;

pub const FORMAT: &str = "GIF";

const EXTENSION: u8 = b'!';
const IMAGE: u8 = b',';
const TRAILER: u8 = b';';
const GRAPHIC_CONTROL: u8 = 0xF9;

/// Bytes of signature, version and logical screen descriptor.
const SCREEN_BYTES: usize = 13;
/// Bytes of an image descriptor after the byte that introduces it.
const IMAGE_BYTES: usize = 9;

/// The first image.
pub struct Blocks<'a> {
    /// Width and height of the logical screen, in pixels.
    pub screen: (u16, u16),
    /// Left, top, width and height of the image on it, in pixels.
    pub place: [u16; 4],
    /// Whether the rows come in four passes.
    pub interlaced: bool,
    /// Three bytes per colour: the image's palette, else the file's; empty if there is none.
    pub palette: &'a [u8],
    /// The palette index of transparency.
    pub transparent: Option<u8>,
    /// Code size and sub-blocks of the compressed pixels, including the empty one at the end if present.
    pub data: &'a [u8],
    /// Whether the file ends within the pixels.
    pub cut_off: bool,
    /// Whether another image follows.
    pub animated: bool,
}

impl<'a> Blocks<'a> {
    /// Reads the blocks of a file that begins as GIF.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader { bytes, at: 6 };
        let screen = reader.take(SCREEN_BYTES - 6)?;
        let shared_palette = reader.palette(screen[4])?;
        let mut transparent = None;
        // Bytes outside of blocks are skipped.
        while match reader.byte()? {
            IMAGE => false,
            TRAILER => return Err(damaged("it contains no image")),
            EXTENSION => {
                let label = reader.byte()?;
                let first = reader.sub_block()?;
                if let (GRAPHIC_CONTROL, &[flags, _, _, index, ..]) = (label, first)
                    && flags & 1 != 0
                {
                    transparent = Some(index);
                }
                if !first.is_empty() {
                    reader.skip_sub_blocks()?;
                }
                true
            }
            _ => true,
        } {}
        let descriptor = reader.take(IMAGE_BYTES)?;
        let palette = match reader.palette(descriptor[8])? {
            [] => shared_palette,
            own => own,
        };
        let start = reader.at;
        reader.byte()?;
        let cut_off = reader.skip_sub_blocks().is_err();
        Ok(Blocks {
            screen: (number(screen, 0), number(screen, 2)),
            place: [0, 2, 4, 6].map(|at| number(descriptor, at)),
            interlaced: descriptor[8] & 0x40 != 0,
            palette,
            transparent,
            data: &bytes[start..reader.at],
            cut_off,
            animated: reader.finds_another(),
        })
    }

    /// Width and height of the screen, in pixels, at least as large as its image.
    pub fn canvas(&self) -> (u32, u32) {
        let [left, top, width, height] = self.place.map(u32::from);
        (u32::from(self.screen.0).max(left + width), u32::from(self.screen.1).max(top + height))
    }

    /// A file with only this image and a dummy palette, for a decoder that returns palette indices.
    pub fn file(&self) -> Vec<u8> {
        let [_, _, width, height] = self.place.map(u16::to_le_bytes);
        let mut file = Vec::with_capacity(self.data.len() + 64);
        file.extend_from_slice(b"GIF89a");
        file.extend_from_slice(&[width[0], width[1], height[0], height[1], 0, 0, 0]);
        file.extend_from_slice(&[IMAGE, 0, 0, 0, 0, width[0], width[1], height[0], height[1]]);
        file.push(0x80 | if self.interlaced { 0x40 } else { 0 });
        file.extend_from_slice(&[0; 6]);
        file.extend_from_slice(self.data);
        if self.cut_off {
            file.push(0);
        }
        file.push(TRAILER);
        file
    }
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub fn damaged(reason: impl Display) -> Error {
    Error::damaged(FORMAT, reason)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let taken = self.bytes.get(self.at..self.at + length);
        let taken = taken.ok_or_else(|| Error::truncated(FORMAT, self.bytes))?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    /// Reads the palette if the flags of a descriptor announce one.
    fn palette(&mut self, flags: u8) -> Result<&'a [u8], Error> {
        match flags & 0x80 {
            0 => Ok(&[]),
            _ => self.take(3 << ((flags & 7) + 1)),
        }
    }

    fn sub_block(&mut self) -> Result<&'a [u8], Error> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// Skips sub-blocks up to and including the empty one at the end. If the file ends before, stops after the last whole one.
    fn skip_sub_blocks(&mut self) -> Result<(), Error> {
        while !self.sub_block_or_stay()?.is_empty() {}
        Ok(())
    }

    fn sub_block_or_stay(&mut self) -> Result<&'a [u8], Error> {
        let start = self.at;
        self.sub_block().inspect_err(|_| self.at = start)
    }

    /// Whether a whole image descriptor follows after extensions and padding.
    fn finds_another(&mut self) -> bool {
        loop {
            let ended = match self.byte() {
                Ok(0) => Ok(()),
                Ok(EXTENSION) => self.byte().and_then(|_| self.skip_sub_blocks()),
                Ok(IMAGE) => return self.take(IMAGE_BYTES + 1).is_ok(),
                Ok(_) | Err(_) => return false,
            };
            if ended.is_err() {
                return false;
            }
        }
    }
}
