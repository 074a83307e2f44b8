//! Turns an image file into the model's input: decode, orient, resize, crop, normalise.
//!
//! The reference is `CLIPImageProcessorPil` of transformers on an image that its loader has oriented by EXIF. All steps
//! are equal to Pillow's to the bit, since errors here degrade embeddings silently: squashing instead of cropping costs a
//! tenth of the centred cosine, a wrong colour scale as much.
//!
//! ```text
//! bytes ── signature ──► decode ── jpeg, png, webp, gif ──► rows ──► resize ──► normalise ──► Pixels
//!                                                              └───► thumbnail ──► JPEG, if one is asked for
//! ```
//!
//! - `signature` recognises a format by its first bytes; `decode` contains the table of formats and the limits.
//! - A format is a module with `FORMAT`, `headers()` (size, memory and frames without decoding) and `decode()`, which passes
//!   rows on as they come. **A format is added** as such a module, with an entry in `signature` and in `decode`.
//! - `measure` computes what an image costs; `resize` computes the 224 x 224 window from rows.

mod decode;
mod gif;
mod jpeg;
mod jpeg_frame;
mod measure;
mod normalise;
mod png;
mod resize;
mod rows;
mod samples;
mod signature;
#[cfg(test)]
mod steps;
mod thumbnail;
mod webp;

use std::fmt;

pub use self::decode::measure;
pub use self::measure::Measure;
use crate::error::Error;
use crate::{Animations, Limits};

/// Width and height of the model's input, in pixels.
pub const SIDE: usize = 224;

/// The name of the procedure from file to model input. Two embeddings are comparable only if it is the same for both.
pub const PREPROCESSING: &str = "clip-224-shortest-side-bicubic-centre-crop-exif-turned";

/// The 224 x 224 window that the model gets, before normalisation: 8-bit RGB, row by row, `224 * 224 * 3` bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Window(Box<[u8]>);

impl Window {
    /// The bytes, beginning with red, green and blue of the top left pixel.
    pub fn as_rgb(&self) -> &[u8] {
        &self.0
    }

    /// A window that was drawn: the colour of each pixel by row and column.
    pub(crate) fn draw(colour: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        Self((0..SIDE * SIDE).flat_map(|pixel| colour(pixel / SIDE, pixel % SIDE)).collect())
    }

    /// The model's input.
    pub fn normalise(&self) -> Pixels {
        Pixels(normalise::normalise(&self.0))
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Window({SIDE} x {SIDE})")
    }
}

/// A model input: 3 x 224 x 224, channels first, normalised by CLIP's mean and deviation per channel.
#[derive(Clone, PartialEq)]
pub struct Pixels(Box<[f32]>);

impl Pixels {
    /// A model input that was prepared elsewhere: `3 * 224 * 224` values, channels first, row by row, already normalised.
    /// `None` for any other number of values, or if one is not finite.
    pub fn from_values(values: Box<[f32]>) -> Option<Self> {
        let right = values.len() == 3 * SIDE * SIDE && values.iter().all(|value| value.is_finite());
        right.then_some(Self(values))
    }

    /// The values, `3 * 224 * 224` of them.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pixels(3 x {SIDE} x {SIDE})")
    }
}

/// An image prepared for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The model's input.
    pub pixels: Pixels,
    /// Whether the image is an animation, and this its first frame.
    pub animated: bool,
    /// The thumbnail, if one was asked for and could be made.
    pub thumbnail: Option<Vec<u8>>,
}

/// A thumbnail to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThumbnailSize {
    /// The greatest width and height, in pixels; a smaller image is not enlarged.
    pub side: usize,
    /// The greatest number of bytes: the JPEG of an image of noise is compressed more until it is below.
    pub bytes: usize,
}

/// Decodes, orients, resizes and crops, but does not normalise. Takes the first frame of an animation.
///
/// # Errors
///
/// See [`prepare`].
pub fn window(bytes: &[u8], limits: &Limits) -> Result<Window, Error> {
    Ok(window_of(bytes, limits, Animations::FirstFrame, None)?.0)
}

/// Turns an encoded JPEG, PNG, WebP or GIF into the model's input.
///
/// The format is recognised by the first bytes. Grey is replicated, transparency dropped, palettes and 16-bit samples are
/// converted to 8-bit RGB, and CMYK without a profile. Colour profiles are ignored; the EXIF orientation is applied. Other
/// content of the file is not read.
///
/// # Errors
///
/// [`TooLarge`](crate::ErrorKind::TooLarge), [`TooManyPixels`](crate::ErrorKind::TooManyPixels),
/// [`SideTooLong`](crate::ErrorKind::SideTooLong) and [`TooMuchMemory`](crate::ErrorKind::TooMuchMemory) before anything of
/// the size is allocated;
/// [`UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat), [`Animated`](crate::ErrorKind::Animated),
/// [`Malformed`](crate::ErrorKind::Malformed).
pub fn prepare(bytes: &[u8], limits: &Limits, animations: Animations) -> Result<Prepared, Error> {
    prepare_with_thumbnail(bytes, limits, animations, None)
}

/// Like [`prepare`], and makes a thumbnail in the same pass: a JPEG in upright orientation, without metadata, of the first
/// frame, with transparent pixels on white. The same image gives the same bytes on every processor. An image whose thumbnail
/// cannot be made has none.
///
/// # Errors
///
/// See [`prepare`].
pub fn prepare_with_thumbnail(
    bytes: &[u8],
    limits: &Limits,
    animations: Animations,
    thumbnail: Option<ThumbnailSize>,
) -> Result<Prepared, Error> {
    let (window, animated, thumbnail) = window_of(bytes, limits, animations, thumbnail)?;
    Ok(Prepared { pixels: window.normalise(), animated, thumbnail })
}

/// The thumbnail of [`prepare_with_thumbnail`] alone, of the first frame of an animation.
///
/// # Errors
///
/// See [`prepare`].
pub fn thumbnail(bytes: &[u8], limits: &Limits, size: ThumbnailSize) -> Result<Option<Vec<u8>>, Error> {
    let mut rows = thumbnail::Thumbnail::new(size.side);
    decode::decode(bytes, limits, Animations::FirstFrame, &mut rows)?;
    Ok(rows.finish(size.bytes))
}

/// Like [`prepare`], with the first frame of an animation.
///
/// # Errors
///
/// See [`prepare`].
pub fn preprocess(bytes: &[u8], limits: &Limits) -> Result<Pixels, Error> {
    Ok(window(bytes, limits)?.normalise())
}

/// The upright image before it is resized: width, height and rows of RGB, for comparisons with other decoders.
///
/// # Errors
///
/// See [`prepare`].
#[doc(hidden)]
pub fn decoded(bytes: &[u8], limits: &Limits) -> Result<(u32, u32, Vec<u8>), Error> {
    let mut whole = rows::Whole::default();
    decode::decode(bytes, limits, Animations::FirstFrame, &mut whole)?;
    let picture = whole.turned();
    Ok((picture.width(), picture.height(), picture.into_raw()))
}

fn window_of(
    bytes: &[u8],
    limits: &Limits,
    animations: Animations,
    thumbnail: Option<ThumbnailSize>,
) -> Result<(Window, bool, Option<Vec<u8>>), Error> {
    let mut window = resize::CentreWindow::new();
    let mut small = thumbnail.map(|size| thumbnail::Thumbnail::new(size.side));
    let animated = match &mut small {
        Some(small) => decode::decode(bytes, limits, animations, &mut rows::Both(&mut window, small))?,
        None => decode::decode(bytes, limits, animations, &mut window)?,
    };
    let window = window.finish().ok_or_else(|| Error::damaged("image", "it has fewer rows than its header states"))?;
    let thumbnail = small.zip(thumbnail).and_then(|(small, size)| small.finish(size.bytes));
    Ok((Window(window), animated, thumbnail))
}
