use std::fmt;

use bytes::Bytes;

use crate::ModelFingerprint;
use crate::error::{Error, Inner};
use crate::protocol::MAX_THUMBNAIL_BYTES;

/// Length of an embedding: the width of CLIP ViT-B/32's shared space of images and texts.
pub const DIMENSION: usize = 512;

/// How far an embedding's Euclidean norm may be from 1 before it is refused.
pub const NORM_TOLERANCE: f64 = 1e-3;

/// An embedding, and the model that made it.
#[derive(Clone, PartialEq)]
pub struct Embedded {
    /// [`DIMENSION`] finite numbers whose Euclidean norm is 1 within [`NORM_TOLERANCE`].
    pub vector: Box<[f32; DIMENSION]>,
    /// Which model made it.
    pub model: ModelFingerprint,
    /// The image was an animation, of which this is the first frame.
    pub animated: bool,
    /// The thumbnail, if one was asked for: a JPEG, or empty if none could be made.
    pub thumbnail: Option<Bytes>,
}

/// The longest side of a thumbnail that is made with an embedding, in pixels. A page shows most of them 124 points high, where
/// they are sharp on a screen of two pixels to the point; at 400 pixels they take half as many bytes again.
pub const THUMBNAIL_SIDE: u16 = 320;

/// The longest side that can be asked for, in pixels; a greater one is lowered to it.
pub const MOST_THUMBNAIL_SIDE: u16 = 400;

/// Accepts a thumbnail that begins like a JPEG and is within the limit, or is empty, because none could be made.
pub(crate) fn checked_thumbnail(thumbnail: Bytes) -> Result<Bytes, Error> {
    let is_jpeg = thumbnail.starts_with(&[0xff, 0xd8, 0xff]) && thumbnail.len() <= MAX_THUMBNAIL_BYTES;
    if is_jpeg || thumbnail.is_empty() { Ok(thumbnail) } else { Err(Inner::NoThumbnail.into()) }
}

impl Embedded {
    /// Accepts `vector` if it is finite and of norm 1. The server is another process, which may have been replaced or be
    /// broken, so its answers are checked before they are stored.
    pub(crate) fn checked(
        vector: Box<[f32; DIMENSION]>,
        model: ModelFingerprint,
        animated: bool,
        thumbnail: Option<Bytes>,
    ) -> Result<Self, Error> {
        if let Some(position) = vector.iter().position(|value| !value.is_finite()) {
            return Err(Inner::NotFinite { position }.into());
        }
        let norm = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        if (norm - 1.0).abs() > NORM_TOLERANCE {
            return Err(Inner::Norm { norm, tolerance: NORM_TOLERANCE }.into());
        }
        let thumbnail = thumbnail.map(checked_thumbnail).transpose()?;
        Ok(Self { vector, model, animated, thumbnail })
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Embedded").field("model", &self.model).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn check(vector: [f32; DIMENSION]) -> Result<Embedded, Error> {
        Embedded::checked(Box::new(vector), ModelFingerprint::from_bytes([7; 32]), false, None)
    }

    fn axis(length: f32) -> [f32; DIMENSION] {
        let mut vector = [0.0; DIMENSION];
        vector[3] = length;
        vector
    }

    #[test]
    fn only_jpegs_are_thumbnails() {
        for accepted in [&b""[..], b"\xff\xd8\xff\xe0"] {
            assert_eq!(checked_thumbnail(Bytes::from_static(accepted)).unwrap(), accepted);
        }
        for refused in [&b"<svg>"[..], b"\xff\xd8", b"\x89PNG"] {
            let error = checked_thumbnail(Bytes::from_static(refused)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }

    #[test]
    fn only_unit_vectors_pass() {
        for length in [1.0, -1.0, 1.0009, 0.9991] {
            check(axis(length)).unwrap();
        }
        for length in [0.0, 1.0011, 0.9989, f32::NAN, f32::INFINITY, f32::MAX] {
            assert_eq!(check(axis(length)).unwrap_err().kind(), ErrorKind::Protocol);
        }
    }
}
