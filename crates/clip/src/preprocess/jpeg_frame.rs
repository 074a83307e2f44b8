//! Reads a JPEG's frame header, and whether decoding needs the coefficients of the whole image (ITU-T T.81, B.2).
//!
//! Markers are found as libjpeg finds them, so that both read the same header: bytes between segments are skipped, and
//! segments are skipped by their lengths.

pub(super) struct Frame {
    pub width: u32,
    pub height: u32,
    /// Bytes of all coefficients if there is more than one scan, as in a progressive JPEG; else 0.
    pub coefficients: u64,
}

/// Most scans of an image. Encoders make about ten, and at most a few for each of the 64 coefficients of a component. In each
/// scan the decoder processes all coefficients again, which costs a file only a few hundred bytes.
pub(super) const MAX_SCANS: usize = 500;

/// The number of start-of-scan markers in a file, including those in its metadata.
pub(super) fn scans(bytes: &[u8]) -> usize {
    // In compressed pixels every 0xFF is followed by a zero (ITU-T T.81, F.1.2.3).
    bytes.windows(2).filter(|marker| *marker == [0xFF, 0xDA]).count()
}

/// The sampling factors of a component.
type Sampling = [u64; 2];

/// `None` if there is no frame header before the first scan that libjpeg can decode.
pub(super) fn read(bytes: &[u8]) -> Option<Frame> {
    let mut at = 2;
    let mut frame = None;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
        at += bytes[at..].iter().position(|&byte| byte != 0xFF)?;
        let marker = bytes[at];
        at += 1;
        // A stuffed byte, and markers without a segment.
        if matches!(marker, 0x00 | 0x01 | 0xD0..=0xD7) {
            continue;
        }
        let length = usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let segment = bytes.get(at + 2..at + length)?;
        at += length;
        match marker {
            // Only samples of 8 bits are supported.
            0xC0..=0xC2 if segment.first() != Some(&8) => return None,
            0xC0 | 0xC1 => frame = Some((false, segment)),
            0xC2 => frame = Some((true, segment)),
            0xDA => {
                let (progressive, header) = frame?;
                return sized(header, progressive, usize::from(*segment.first()?));
            }
            _ => {}
        }
    }
}

/// The unsupported feature of a JPEG, if it has one (ITU-T T.81, table B.1).
pub(super) fn unsupported(bytes: &[u8]) -> Option<String> {
    let mut at = 2;
    while let Some(&[0xFF, marker, length_high, length_low, precision]) = bytes.get(at..at + 5) {
        match marker {
            0xC0..=0xC2 if precision != 8 => return Some(format!("{precision} bits per sample")),
            0xC3 => return Some("lossless coding".to_owned()),
            0xC5..=0xC7 => return Some("hierarchical coding".to_owned()),
            0xC9..=0xCB | 0xCD..=0xCF => return Some("arithmetic coding".to_owned()),
            0xC0..=0xC2 | 0xDA => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([length_high, length_low])),
        }
    }
    None
}

fn sized(header: &[u8], progressive: bool, components_in_scan: usize) -> Option<Frame> {
    let &[_, h1, h0, w1, w0, components, ref rest @ ..] = header else { return None };
    let [width, height] = [[w1, w0], [h1, h0]].map(|side| u32::from(u16::from_be_bytes(side)));
    let components: Vec<Sampling> = rest
        .chunks_exact(3)
        .take(components.into())
        .map(|component| [component[1] >> 4, component[1] & 15].map(u64::from))
        .collect();
    let several_scans = progressive || components_in_scan < components.len();
    let coefficients = if several_scans { coefficients(width, height, &components)? } else { 0 };
    Some(Frame { width, height, coefficients })
}

/// 64 coefficients of 2 bytes for each block; the blocks of a component fill its share of whole groups.
fn coefficients(width: u32, height: u32, components: &[Sampling]) -> Option<u64> {
    let most = |axis: usize| components.iter().map(|sampling| sampling[axis]).max();
    let most = [most(0)?, most(1)?];
    let blocks = components.iter().map(|sampling| {
        let along = |side: u32, axis: usize| -> Option<u64> {
            let blocks = (u64::from(side) * sampling[axis]).checked_div(8 * most[axis])? + 1;
            blocks.checked_next_multiple_of(sampling[axis])
        };
        Some(along(width, 0)? * along(height, 1)?)
    });
    blocks.sum::<Option<u64>>().map(|blocks| 128 * blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        [&[0xFF, marker][..], &(content.len() as u16 + 2).to_be_bytes(), content].concat()
    }

    fn jpeg(start_of_frame: u8, in_scan: u8) -> Vec<u8> {
        let frame = [8, 0x15, 0x80, 0x20, 0x40, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
        // A thumbnail's frame inside a segment, and bytes outside of segments.
        let metadata = segment(0xE1, &segment(0xC2, &[8, 0, 1, 0, 1, 1, 1, 0x11, 0]));
        [
            &[0xFF, 0xD8][..],
            &metadata,
            &[7, 0xFF, 0xFF, 0x00],
            &segment(start_of_frame, &frame),
            &segment(0xDA, &[in_scan]),
        ]
        .concat()
    }

    #[test]
    fn coefficients_are_kept_for_scans_to_come() {
        let one = read(&jpeg(0xC0, 3)).unwrap();
        assert_eq!((one.width, one.height, one.coefficients), (8256, 5504, 0));
        for (frame, in_scan) in [(0xC2, 3), (0xC2, 1), (0xC0, 1), (0xC1, 2)] {
            let several = read(&jpeg(frame, in_scan)).unwrap();
            // One and a half coefficients per pixel, and blocks at the margin.
            let expected = 8256 * 5504 * 3;
            assert!((expected..expected * 102 / 100).contains(&several.coefficients), "{}", several.coefficients);
        }
    }

    #[test]
    fn scans_are_counted() {
        let mut bytes = jpeg(0xC2, 3);
        assert_eq!(scans(&bytes), 1);
        bytes.extend(segment(0xDA, &[1, 0]).repeat(MAX_SCANS));
        assert_eq!(scans(&bytes), MAX_SCANS + 1);
        let refused = super::super::jpeg::headers(&bytes).err().unwrap();
        assert_eq!(refused.kind(), crate::ErrorKind::UnsupportedFormat, "{refused}");
    }

    #[test]
    fn without_a_frame_there_is_no_size() {
        let whole = jpeg(0xC0, 3);
        assert!((0..whole.len()).all(|length| read(&whole[..length]).is_none()));
    }

    #[test]
    fn kinds_that_are_not_decoded_are_named() {
        let twelve_bits = {
            let mut bytes = jpeg(0xC1, 3);
            let frame = bytes.windows(4).rposition(|start| start == [0xFF, 0xC1, 0, 17]).unwrap();
            bytes[frame + 4] = 12;
            bytes.drain(frame - 4..frame);
            bytes
        };
        let named = |bytes: &[u8]| (read(bytes).is_some(), unsupported(bytes));
        assert_eq!(named(&twelve_bits), (false, Some("12 bits per sample".to_owned())));
        for (marker, what) in [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xC9, "arithmetic"), (0xCA, "arithmetic")] {
            let mut bytes = jpeg(marker, 3);
            let frame = bytes.windows(4).rposition(|start| start == [0xFF, marker, 0, 17]).unwrap();
            bytes.drain(frame - 4..frame);
            assert_eq!(named(&bytes), (false, Some(format!("{what} coding"))));
        }
        assert_eq!(unsupported(&jpeg(0xC0, 3)), None);
    }
}
