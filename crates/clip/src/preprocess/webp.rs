use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};

use super::decode::{Decoded, check_size, image_error};
use super::samples;
use crate::Limits;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "WebP";

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, Error> {
    let failed = |error| image_error(FORMAT, bytes, &error);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, limits)?;
    if decoder.has_animation() {
        return Err(Inner::Animated { format: FORMAT }.into());
    }
    let exif = decoder.exif_metadata().map_err(failed)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Decoded { pixels: samples::to_rgb(picture), exif })
}
