//! Encoded picture in, model input out.

use crate::Limits;
use crate::error::{Error, Inner};

/// Width and height of the model's input, in pixels.
pub const SIDE: usize = 224;

/// Names the procedure from file to model input. Two embeddings are comparable only if they were made under the same name.
pub const PREPROCESSING: &str = "clip-224-bicubic-pillow-centre-crop-exif-turned";

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
        Pixels(vec![0.0; 3 * SIDE * SIDE].into_boxed_slice())
    }
}

/// A model input: 3 x 224 x 224, channels first, normalised by CLIP's mean and deviation per channel.
#[derive(Clone, PartialEq)]
pub struct Pixels(Box<[f32]>);

impl Pixels {
    /// The values, `3 * 224 * 224` of them.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

/// Decodes, turns, resizes and crops; everything but the normalisation.
///
/// # Errors
///
/// See [`preprocess`].
pub fn window(bytes: &[u8], limits: &Limits) -> Result<Window, Error> {
    if bytes.len() > limits.max_bytes {
        return Err(Inner::TooManyBytes {
            found: bytes.len(),
            limit: limits.max_bytes,
        }
        .into());
    }
    Ok(Window(vec![0; SIDE * SIDE * 3].into_boxed_slice()))
}

/// Turns an encoded JPEG, PNG or WebP into the model's input.
///
/// # Errors
///
/// [`TooLarge`](crate::ErrorKind::TooLarge) before anything of the size is allocated;
/// [`UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat), [`Animated`](crate::ErrorKind::Animated),
/// [`Malformed`](crate::ErrorKind::Malformed).
pub fn preprocess(bytes: &[u8], limits: &Limits) -> Result<Pixels, Error> {
    Ok(window(bytes, limits)?.normalise())
}
