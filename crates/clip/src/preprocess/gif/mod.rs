//! Decodes GIF by the `gif` crate: the first image on its logical screen.

mod blocks;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use image::RgbImage;
use image::metadata::Orientation;

pub(super) use self::blocks::FORMAT;
use self::blocks::{Blocks, damaged};
use super::measure::{Headers, Measure};
use super::rows::{Rows, hand_over};
use crate::Limits;
use crate::error::Error;

/// The colour of each palette index.
type Colours = [[u8; 3]; 256];

/// The memory is that of the palette indices, and of the screen in RGB.
pub(super) fn headers(bytes: &[u8]) -> Result<Headers, Error> {
    let blocks = Blocks::read(bytes)?;
    let (width, height) = blocks.canvas();
    let whole = 4 * u64::from(width) * u64::from(height) + bytes.len() as u64;
    Ok(Headers { measure: Measure::new(width, height, whole), animated: blocks.animated })
}

pub(super) fn decode(bytes: &[u8], _: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let blocks = Blocks::read(bytes)?;
    let [left, top, width, height] = blocks.place.map(u32::from);
    let (screen_width, screen_height) = blocks.canvas();
    if width == 0 || height == 0 {
        return Err(damaged("its image has no pixels"));
    }
    let indices = indices(&blocks).map_err(|error| match blocks.cut_off {
        true => Error::truncated(FORMAT, bytes),
        false => damaged(error),
    })?;

    let colours = colours(blocks.palette);
    let screen_stride = 3 * screen_width as usize;
    // As in Pillow: the transparent colour, else the first one; the background colour is ignored.
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
        .unwrap_or_else(|| unreachable!("the number of samples is wrong: this is a bug"));
    hand_over(&pixels, Orientation::NoTransforms, rows);
    Ok(())
}

/// The palette index of each pixel, row by row.
fn indices(blocks: &Blocks<'_>) -> Result<Vec<u8>, DecodingError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // The size is within the limits, and the memory is allocated here.
    options.set_memory_limit(MemoryLimit::Unlimited);
    let file = blocks.file();
    let mut decoder = options.read_info(&*file)?;
    decoder.next_frame_info()?;
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices)?;
    Ok(indices)
}

/// The colours as Pillow reads a palette: those beyond its end are black, unless it is a grey ramp from black in steps of one
/// or missing, which means grey.
fn colours(palette: &[u8]) -> Colours {
    let (listed, _) = palette.as_chunks::<3>();
    let is_grey = listed.iter().enumerate().all(|(level, colour)| *colour == [level as u8; 3]);
    std::array::from_fn(|index| match is_grey {
        true => [index as u8; 3],
        false => listed.get(index).copied().unwrap_or_default(),
    })
}
