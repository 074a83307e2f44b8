//! Decodes GIF by the `gif` crate: the first image on its logical screen.

mod blocks;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use image::metadata::Orientation;

pub(super) use self::blocks::FORMAT;
use self::blocks::{Blocks, damaged};
use super::measure::{Headers, Measure};
use super::rows::{Rows, STRIP};
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
    // As in Pillow: the transparent colour, else the first one; the background colour is ignored.
    let free = colours[usize::from(blocks.transparent.unwrap_or(0))];
    let [wide, left, width] = [screen_width, left, width].map(|length| length as usize);
    let has_alpha = blocks.transparent.is_some() || (width as u32, height) != (screen_width, screen_height);
    let mut lines = indices.chunks(width);
    rows.begin([wide, screen_height as usize], Orientation::NoTransforms);
    let (mut rgb, mut alpha) = (Vec::with_capacity(3 * wide * STRIP), vec![]);
    for first in (0..screen_height).step_by(STRIP) {
        let strip = first..screen_height.min(first + STRIP as u32);
        rgb.clear();
        rgb.extend(free.iter().copied().cycle().take(3 * wide * strip.len()));
        alpha.clear();
        alpha.resize(if has_alpha { wide * strip.len() } else { 0 }, 0);
        for (place, row) in strip.enumerate() {
            if !(top..top + height).contains(&row) {
                continue;
            }
            let Some(line) = lines.next() else { break };
            let at = place * wide + left;
            let (targets, _) = rgb[3 * at..3 * (at + width)].as_chunks_mut::<3>();
            for (target, index) in targets.iter_mut().zip(line) {
                *target = colours[usize::from(*index)];
            }
            if has_alpha {
                let opacity = |index: &u8| if blocks.transparent == Some(*index) { 0 } else { 255 };
                alpha[at..at + width].iter_mut().zip(line).for_each(|(target, index)| *target = opacity(index));
            }
        }
        rows.alpha(&alpha);
        rows.take(&rgb);
    }
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
