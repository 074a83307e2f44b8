//! Untrusted images: which are refused, with which error, and before which costs.

use clip::{Error, ErrorKind, Limits};
use image::RgbImage;

use crate::support::{Golden, picture, png};

fn refused(bytes: &[u8]) -> Error {
    match clip::preprocess(bytes, &Limits::default()) {
        Ok(_) => panic!("{} bytes were accepted", bytes.len()),
        Err(error) => error,
    }
}

#[test]
fn other_formats() {
    for bytes in [
        &b""[..],
        b"\xFF",
        b"BM\x3a\x00\x00\x00",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"<!DOCTYPE html><html><body>not found</body></html>",
        b"\x00\x00\x00\x1cftypavif",
    ] {
        assert_eq!(refused(bytes).kind(), ErrorKind::UnsupportedFormat, "{bytes:?}");
    }
}

/// No prefix of an image is accepted as the image.
#[test]
fn truncated_pictures() {
    for golden in Golden::read().pictures {
        let bytes = picture(&golden.name);
        for tenths in [2, 5, 9] {
            // The last 16 bytes of a PNG follow its pixels.
            let cut = ((bytes.len() - 16) * tenths / 10).max(16);
            let error = refused(&bytes[..cut]);
            assert_eq!(error.kind(), ErrorKind::Malformed, "{} cut at {cut}: {error}", golden.name);
        }
    }
}

#[test]
fn the_error_of_a_truncated_jpeg_contains_its_length() {
    let bytes = picture("portrait.jpg");
    let message = refused(&bytes[..20_000]).to_string();
    assert_eq!(message, "JPEG is truncated after 20000 bytes");
}

#[test]
fn signatures_without_content_are_refused() {
    for magic in [&b"\xFF\xD8\xFF"[..], b"\x89PNG\r\n\x1A\n", b"RIFF\x24\x00\x00\x00WEBP"] {
        let noise: Vec<u8> = (0..4_000u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for tail in [&noise[..], &[0; 4_000], &[]] {
            let error = refused(&[magic, tail].concat());
            assert_eq!(error.kind(), ErrorKind::Malformed, "{magic:?}: {error}");
        }
    }
}

#[test]
fn too_many_bytes() {
    let limits = Limits { max_bytes: 1_000, ..Limits::default() };
    let error = clip::preprocess(&picture("portrait.jpg"), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let message = error.to_string();
    assert!(message.contains("1000") && message.contains(&picture("portrait.jpg").len().to_string()), "{message}");
}

/// Headers with a larger size than the file: refused before an allocation of that size.
#[test]
fn header_bombs() {
    let limits = Limits { max_pixels: 16_000_000, max_side: 8_192, ..Limits::default() };
    let sizes: [(u16, u16, ErrorKind, &str); 3] = [
        (16_000, 16_000, ErrorKind::SideTooLong, "16000 x 16000 pixels, more than the limit of 8192 per side"),
        (9_000, 1, ErrorKind::SideTooLong, "9000 x 1 pixels, more than the limit of 8192 per side"),
        (8_000, 8_000, ErrorKind::TooManyPixels, "8000 x 8000 = 64000000 pixels, more than the limit of 16000000"),
    ];
    for (width, height, kind, expected) in sizes {
        for bytes in [jpeg_of(width, height), png_of(width, height), webp_of(width, height)] {
            for error in [clip::preprocess(&bytes, &limits).unwrap_err(), clip::measure(&bytes, &limits).unwrap_err()] {
                assert_eq!(error.kind(), kind, "{error}");
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
    }
}

/// An image that is decoded as a whole is refused if it does not fit, with its size in the error; one that is decoded in rows is
/// not.
#[test]
fn memory_bombs() {
    let limits = Limits { max_memory: 100 << 20, ..Limits::default() };
    let progressive = {
        let mut bytes = picture("progressive.jpg");
        let frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC2]).unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[0x20, 0x00, 0x20, 0x00]);
        bytes
    };
    let interlaced = {
        let mut bytes = png_of(8_192, 8_192);
        bytes[28] = 1;
        bytes
    };
    for bytes in [progressive, interlaced, webp_of(8_192, 8_192)] {
        let error = clip::preprocess(&bytes, &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooMuchMemory, "{error}");
        assert!(error.to_string().contains("more than the limit of 104857600"), "{error}");
    }
    for bytes in [jpeg_of(8_192, 8_192), png_of(8_192, 8_192)] {
        assert!(clip::measure(&bytes, &limits).unwrap().memory < 16 << 20);
    }
}

/// A committed JPEG with another size in its start-of-frame segment.
fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = picture("portrait.jpg");
    let frame = bytes.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn png_of(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = picture("alpha.png");
    bytes[16..20].copy_from_slice(&u32::from(width).to_be_bytes());
    bytes[20..24].copy_from_slice(&u32::from(height).to_be_bytes());
    bytes
}

/// The lossless bitstream has 14 bits each of width and height, less one, after its signature byte.
fn webp_of(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = picture("lossless.webp");
    let stream = bytes.windows(4).position(|chunk| chunk == b"VP8L").unwrap() + 8;
    let kept = u32::from_le_bytes(bytes[stream + 1..stream + 5].try_into().unwrap()) >> 28 << 28;
    let size = kept | u32::from(width - 1) | u32::from(height - 1) << 14;
    bytes[stream + 1..stream + 5].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// A small canvas around a large frame, which the decoder would only compare after decoding.
#[test]
fn a_webp_frame_larger_than_its_canvas() {
    let bytes = webp_with(&chunk(b"VP8X", &[0, 0, 0, 0, 15, 0, 0, 15, 0, 0]), &{
        let mut frame = picture("lossy.webp")[12..].to_vec();
        frame[14..18].copy_from_slice(&[0xFF, 0x3F, 0xFF, 0x3F]);
        frame
    });
    let error = refused(&bytes);
    assert_eq!(error.kind(), ErrorKind::TooManyPixels);
    assert!(error.to_string().contains("16383 x 16383"), "{error}");
}

/// A metadata chunk that claims to be 4 GiB long, for which the decoder would allocate memory.
#[test]
fn a_webp_chunk_longer_than_the_file() {
    let mut metadata = chunk(b"EXIF", b"II*\0");
    metadata[4..8].copy_from_slice(&0xFFFF_FFF0u32.to_le_bytes());
    let frame = &picture("lossy.webp")[12..];
    let bytes = webp_with(&chunk(b"VP8X", &[0b1000, 0, 0, 0, 43, 1, 0, 143, 1, 0]), &[frame, &metadata].concat());
    assert_eq!(refused(&bytes).kind(), ErrorKind::Malformed);
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&name[..], &(content.len() as u32).to_le_bytes(), content].concat()
}

fn webp_with(first: &[u8], rest: &[u8]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WEBP", first, rest].concat())
}

#[test]
fn bytes_after_the_picture_are_ignored() {
    for name in ["portrait.jpg", "alpha.png", "lossy.webp"] {
        let whole = picture(name);
        let more = [&whole[..], b"trailing bytes"].concat();
        let limits = Limits::default();
        assert_eq!(clip::window(&more, &limits).unwrap(), clip::window(&whole, &limits).unwrap(), "{name}");
    }
}

#[test]
fn the_limits_themselves_are_allowed() {
    let limits = Limits { max_pixels: 8 * 8192, ..Limits::default() };
    assert!(clip::preprocess(&png(&RgbImage::new(8192, 8)), &limits).is_ok());
    let error = clip::preprocess(&png(&RgbImage::new(8192, 9)), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyPixels);
}

#[test]
fn a_damaged_orientation_is_ignored() {
    let mut bytes = picture("exif-6.jpg");
    let block = bytes.windows(6).position(|bytes| bytes == b"Exif\0\0").unwrap() + 6;
    bytes[block + 4..block + 8].copy_from_slice(&[0xFF; 4]);
    assert!(clip::preprocess(&bytes, &Limits::default()).is_ok());
}
