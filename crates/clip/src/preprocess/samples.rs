//! Converts CMYK to 8-bit RGB by the rules of Pillow's `convert("RGB")`.

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
}
