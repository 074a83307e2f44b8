//! Encoded picture in, model input out: decode, turn, resize, crop, normalise.
//!
//! The reference is `CLIPImageProcessorPil` of transformers on a picture that its own loader has turned by EXIF. The steps
//! of Pillow are followed to the bit, because that is where an embedding silently goes wrong: squashing instead of
//! cropping costs a tenth of the centred cosine, the wrong colour scale as much.

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
mod webp;

use std::fmt;

pub use self::decode::measure;
pub use self::measure::Measure;
use crate::error::{Error, Inner};
use crate::{Animations, Limits};

/// Width and height of the model's input, in pixels.
pub const SIDE: usize = 224;

/// Names the procedure from file to model input. Two embeddings are comparable only if they were made under the same name.
pub const PREPROCESSING: &str = "clip-224-shortest-side-bicubic-centre-crop-exif-turned";

/// The 224 x 224 window the model sees, before normalisation: 8-bit RGB, row by row, `224 * 224 * 3` bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Window(Box<[u8]>);

impl Window {
    /// The bytes: red, green, blue of the top left pixel first.
    pub fn as_rgb(&self) -> &[u8] {
        &self.0
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

/// What the model is given of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The model's input.
    pub pixels: Pixels,
    /// The picture is an animation, and this its first frame.
    pub animated: bool,
}

/// Decodes, turns, resizes and crops; everything but the normalisation. Of an animation it takes the first frame.
///
/// # Errors
///
/// See [`prepare`].
pub fn window(bytes: &[u8], limits: &Limits) -> Result<Window, Error> {
    Ok(window_of(bytes, limits, Animations::FirstFrame)?.0)
}

/// Turns an encoded JPEG, PNG, WebP or GIF into the model's input.
///
/// The format is told by the first bytes. Grey is replicated, transparency dropped, palettes and 16-bit samples reduced to
/// 8-bit RGB, CMYK converted without a profile; colour profiles are ignored; the EXIF orientation is carried out. What else
/// a file holds beside its picture is not looked into.
///
/// # Errors
///
/// [`TooLarge`](crate::ErrorKind::TooLarge), [`TooManyPixels`](crate::ErrorKind::TooManyPixels),
/// [`SideTooLong`](crate::ErrorKind::SideTooLong) and [`TooMuchMemory`](crate::ErrorKind::TooMuchMemory) before anything of
/// the size is allocated;
/// [`UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat), [`Animated`](crate::ErrorKind::Animated),
/// [`Malformed`](crate::ErrorKind::Malformed).
pub fn prepare(bytes: &[u8], limits: &Limits, animations: Animations) -> Result<Prepared, Error> {
    let (window, animated) = window_of(bytes, limits, animations)?;
    Ok(Prepared { pixels: window.normalise(), animated })
}

/// The model's input alone. Of an animation it takes the first frame.
///
/// # Errors
///
/// See [`prepare`].
pub fn preprocess(bytes: &[u8], limits: &Limits) -> Result<Pixels, Error> {
    Ok(window(bytes, limits)?.normalise())
}

/// The upright picture before it is resized: width, height and rows of RGB, for comparisons with other decoders.
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

fn window_of(bytes: &[u8], limits: &Limits, animations: Animations) -> Result<(Window, bool), Error> {
    let mut window = resize::CentreWindow::new();
    let animated = decode::decode(bytes, limits, animations, &mut window)?;
    let window = window.finish().ok_or_else(|| Inner::Undecodable {
        format: "picture",
        reason: "it has fewer rows than its header says".to_owned(),
    })?;
    Ok((Window(window), animated))
}
