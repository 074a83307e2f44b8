//! Encoding of images.

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ImageEncoder as _, RgbImage};

use crate::faults::PictureFormat;

pub(crate) fn encode(pixels: &RgbImage, format: PictureFormat, jpeg_quality: u8) -> Bytes {
    let mut file = Vec::new();
    let (width, height) = pixels.dimensions();
    let color = image::ExtendedColorType::Rgb8;
    let written = match format {
        PictureFormat::Jpeg => {
            JpegEncoder::new_with_quality(&mut file, jpeg_quality).write_image(pixels, width, height, color)
        }
        PictureFormat::Png => PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Sub)
            .write_image(pixels, width, height, color),
        PictureFormat::Webp => WebPEncoder::new_lossless(&mut file).write_image(pixels, width, height, color),
    };
    match written {
        Ok(()) => file.into(),
        Err(error) => unreachable!("this is a bug: {width}x{height} pixels were refused: {error}"),
    }
}

/// Inserts a comment after the first marker of a JPEG (ITU T.81, B.2.4.5), so that files of one image differ.
pub(crate) fn with_comment(jpeg: &[u8], comment: &str) -> Bytes {
    const START_OF_IMAGE: usize = 2;
    let length = (comment.len() + 2) as u16;
    let mut file = Vec::with_capacity(jpeg.len() + comment.len() + 4);
    file.extend_from_slice(&jpeg[..START_OF_IMAGE]);
    file.extend_from_slice(&[0xFF, 0xFE]);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(comment.as_bytes());
    file.extend_from_slice(&jpeg[START_OF_IMAGE..]);
    file.into()
}
