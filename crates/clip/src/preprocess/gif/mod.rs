//! GIF by the `gif` crate, of which the first picture is taken, on its logical screen.

mod blocks;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use image::RgbImage;

pub(super) use self::blocks::Blocks;
use self::blocks::damaged;
use super::decode::Decoded;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "GIF";

/// What each place in the palette stands for.
type Colours = [[u8; 3]; 256];

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let blocks = Blocks::read(bytes)?;
    let [left, top, width, height] = blocks.place.map(u32::from);
    let (screen_width, screen_height) = blocks.canvas();
    if width == 0 || height == 0 {
        return Err(damaged("its picture has no pixels"));
    }
    let indices = indices(&blocks).map_err(|error| match blocks.cut_off {
        true => Inner::Truncated { format: FORMAT, bytes: bytes.len() }.into(),
        false => damaged(&error.to_string()),
    })?;

    let colours = colours(blocks.palette);
    let screen_stride = 3 * screen_width as usize;
    // As Pillow: the colour that stands for transparency, else the first one; the background colour is not taken.
    let free = colours[usize::from(blocks.transparent.unwrap_or(0))];
    let mut samples = free.repeat(screen_width as usize * screen_height as usize);
    for (row, indices) in samples.chunks_exact_mut(screen_stride).skip(top as usize).zip(indices.chunks(width as usize))
    {
        let (targets, _) = row[3 * left as usize..].as_chunks_mut::<3>();
        for (target, index) in targets.iter_mut().zip(indices) {
            *target = colours[usize::from(*index)];
        }
    }
    let pixels = RgbImage::from_raw(screen_width, screen_height, samples)
        .unwrap_or_else(|| unreachable!("it is made of so many samples: this is a bug"));
    Ok(Decoded { pixels, exif: None })
}

/// The place of each pixel in the palette, row by row.
fn indices(blocks: &Blocks<'_>) -> Result<Vec<u8>, DecodingError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // The pixels are within the limits, and room for them is made here.
    options.set_memory_limit(MemoryLimit::Unlimited);
    let file = blocks.file();
    let mut decoder = options.read_info(&*file)?;
    decoder.next_frame_info()?;
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices)?;
    Ok(indices)
}

/// Pillow's reading of a palette: colours beyond its end are black, but one that runs from black in steps of one, as an
/// absent one does, stands for grey as it is.
fn colours(palette: &[u8]) -> Colours {
    let (listed, _) = palette.as_chunks::<3>();
    let is_grey = listed.iter().enumerate().all(|(level, colour)| *colour == [level as u8; 3]);
    std::array::from_fn(|index| match is_grey {
        true => [index as u8; 3],
        false => listed.get(index).copied().unwrap_or_default(),
    })
}
