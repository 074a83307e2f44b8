//! Any sample format to 8-bit RGB by the rules of Pillow's `convert("RGB")`.

use image::{DynamicImage, ImageBuffer, Pixel, RgbImage};

/// Grey is replicated, alpha dropped (not composited), a 16-bit sample gives its high byte.
///
/// One rule is not Pillow's: it clips 16-bit *grey* at 255, which makes nearly every such picture white. Here the high byte
/// is taken, as it is for every other 16-bit format.
pub(super) fn to_rgb(picture: DynamicImage) -> RgbImage {
    match picture {
        DynamicImage::ImageRgb8(picture) => picture,
        DynamicImage::ImageLuma8(picture) => convert(&picture, |[grey]| [grey; 3]),
        DynamicImage::ImageLumaA8(picture) => convert(&picture, |[grey, _]| [grey; 3]),
        DynamicImage::ImageRgba8(picture) => convert(&picture, |[red, green, blue, _]| [red, green, blue]),
        DynamicImage::ImageLuma16(picture) => convert(&picture, |[grey]| [high(grey); 3]),
        DynamicImage::ImageLumaA16(picture) => convert(&picture, |[grey, _]| [high(grey); 3]),
        DynamicImage::ImageRgb16(picture) => convert(&picture, |rgb| rgb.map(high)),
        DynamicImage::ImageRgba16(picture) => convert(&picture, |[red, green, blue, _]| [red, green, blue].map(high)),
        // Neither PNG nor WebP has floating-point samples.
        other => other.into_rgb8(),
    }
}

fn high(sample: u16) -> u8 {
    (sample >> 8) as u8
}

fn convert<P, const CHANNELS: usize>(
    picture: &ImageBuffer<P, Vec<P::Subpixel>>,
    rule: impl Fn([P::Subpixel; CHANNELS]) -> [u8; 3],
) -> RgbImage
where
    P: Pixel,
{
    let mut rgb = RgbImage::new(picture.width(), picture.height());
    let (samples, _) = picture.as_raw().as_chunks::<CHANNELS>();
    let (targets, _) = rgb.as_chunks_mut::<3>();
    for (target, &sample) in targets.iter_mut().zip(samples) {
        *target = rule(sample);
    }
    rgb
}

/// Pillow's CMYK rule, in its integers: `255 - k - (255 - k) * c / 255`, the product rounded by the usual shift.
pub(super) fn cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let paper = 255 - black;
    [cyan, magenta, yellow].map(|ink| paper.saturating_sub(product_over_255(ink, paper)))
}

/// `a * b / 255`, rounded, without a division (Pillow's `MULDIV255`).
fn product_over_255(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmyk_follows_pillow() {
        // Image.new("CMYK", (1, 1), (10, 20, 30, 40)).convert("RGB")
        assert_eq!(cmyk_to_rgb([10, 20, 30, 40]), [207, 198, 190]);
        assert_eq!(cmyk_to_rgb([255, 0, 255, 0]), [0, 255, 0]);
        assert_eq!(cmyk_to_rgb([0, 0, 0, 255]), [0, 0, 0]);
    }

    #[test]
    fn sixteen_bits_give_their_high_byte() {
        let picture = ImageBuffer::from_raw(2, 1, vec![0x80FFu16, 0x00FF]).unwrap();
        let rgb = to_rgb(DynamicImage::ImageLuma16(picture));
        assert_eq!(rgb.as_raw(), &[0x80, 0x80, 0x80, 0, 0, 0]);
    }

    #[test]
    fn alpha_is_dropped_not_composited() {
        let picture = ImageBuffer::from_raw(1, 1, vec![10u8, 20, 30, 0]).unwrap();
        assert_eq!(to_rgb(DynamicImage::ImageRgba8(picture)).as_raw(), &[10, 20, 30]);
    }
}
