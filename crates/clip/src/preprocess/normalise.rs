use super::SIDE;

// CLIP's own figures, in transformers `OPENAI_CLIP_MEAN` and `OPENAI_CLIP_STD`: red, green, blue.
const MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
#[allow(clippy::excessive_precision, reason = "as published, to be found by a search")]
const DEVIATION: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// `(level / 255 - mean) / deviation` per channel, rows of RGB to planes of red, green, blue.
pub(super) fn normalise(rgb: &[u8]) -> Box<[f32]> {
    let mut planes = vec![0.0; 3 * SIDE * SIDE].into_boxed_slice();
    for (channel, plane) in planes.chunks_exact_mut(SIDE * SIDE).enumerate() {
        let table: [f32; 256] =
            std::array::from_fn(|level| (level as f32 / 255.0 - MEAN[channel]) / DEVIATION[channel]);
        for (value, pixel) in plane.iter_mut().zip(rgb.chunks_exact(3)) {
            *value = table[usize::from(pixel[channel])];
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_red_green_blue() {
        let mut rgb = vec![0; 3 * SIDE * SIDE];
        rgb[..3].copy_from_slice(&[255, 128, 0]);
        let planes = normalise(&rgb);
        let first: Vec<f32> = planes.iter().step_by(SIDE * SIDE).copied().collect();
        // (1 - 0.48145466) / 0.26862954, (128 / 255 - 0.4578275) / 0.26130258, -0.40821073 / 0.27577711
        for (found, expected) in first.iter().zip([1.930_336_3, 0.168_897_3, -1.480_219_7]) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }
}
