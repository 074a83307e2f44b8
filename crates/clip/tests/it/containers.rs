//! Files with a valid image in an unusual container, frozen by `tests/fixtures/make_containers.py`, are read as Pillow and
//! browsers read them.

use clip::{Animations, ErrorKind, Limits, Prepared};
use image::{DynamicImage, ImageBuffer};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::support;

#[derive(Deserialize)]
struct Row {
    name: String,
    /// Of the upright image in RGB.
    sha256: Option<String>,
    /// A kind of error.
    refused: Option<String>,
    #[serde(default)]
    animated: bool,
}

impl Row {
    fn bytes(&self) -> Vec<u8> {
        support::picture(&format!("../containers/{}", self.name))
    }
}

fn rows() -> Vec<Row> {
    serde_json::from_slice(&std::fs::read(support::fixtures().join("containers.json")).unwrap()).unwrap()
}

fn prepare(bytes: &[u8], animations: Animations) -> Result<Prepared, clip::Error> {
    clip::prepare(bytes, &Limits::default(), animations)
}

#[test]
fn pictures_are_equal_to_the_bit() {
    let mut wrong = vec![];
    for row in rows() {
        let Some(expected) = &row.sha256 else { continue };
        match clip::decoded(&row.bytes(), &Limits::default()) {
            Ok((_, _, pixels)) if format!("{:x}", Sha256::digest(&pixels)) == *expected => {}
            Ok((width, height, _)) => wrong.push(format!("{}: {width} x {height} other pixels", row.name)),
            Err(error) => wrong.push(format!("{}: {error}", row.name)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn other_data_is_never_accepted_as_an_image() {
    for row in rows() {
        let Some(expected) = &row.refused else { continue };
        match prepare(&row.bytes(), Animations::FirstFrame) {
            Ok(_) => panic!("{} is read", row.name),
            Err(error) => assert_eq!(&format!("{:?}", error.kind()), expected, "{}: {error}", row.name),
        }
    }
}

#[test]
fn animations_give_their_first_frame_or_are_refused() {
    let mut animations = 0;
    for row in rows().iter().filter(|row| row.sha256.is_some()) {
        let first = prepare(&row.bytes(), Animations::FirstFrame).unwrap();
        assert_eq!(first.animated, row.animated, "{}", row.name);
        match prepare(&row.bytes(), Animations::Refuse) {
            Ok(still) => assert!(!row.animated && still == first, "{}", row.name),
            Err(error) => {
                assert!(row.animated, "{}: {error}", row.name);
                assert_eq!(error.kind(), ErrorKind::Animated, "{}: {error}", row.name);
                animations += 1;
            }
        }
    }
    assert!(animations > 5, "{animations}");
}

/// Pillow clips it at 255.
#[test]
fn sixteen_bit_grey_gives_its_high_byte() {
    let grey = ImageBuffer::from_raw(2, 1, vec![0x80FFu16, 0x00FF]).unwrap();
    let mut png = std::io::Cursor::new(vec![]);
    DynamicImage::ImageLuma16(grey).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let (_, _, pixels) = clip::decoded(&png.into_inner(), &Limits::default()).unwrap();
    assert_eq!(pixels, [0x80, 0x80, 0x80, 0, 0, 0]);
}

#[test]
fn unsupported_data_is_named() {
    for (bytes, message) in [
        (&b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B"[..], "AVIF is not supported"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not supported"),
        (b"<html><title>404 Not Found</title></html>", "data is an HTML document, not an image"),
        (b"no picture", "image is not a JPEG, PNG, WebP or GIF"),
        (&support::picture("../containers/twelve-bits.jpg"), "unsupported kind of JPEG: 12 bits per sample"),
    ] {
        let error = prepare(bytes, Animations::FirstFrame).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
        assert_eq!(error.to_string(), message);
    }
}

/// The canvas and the frame of an animation are checked before memory is allocated for either.
#[test]
fn frames_and_screens_have_limits() {
    for (name, at, side) in [
        // Width of the logical screen, and of the image on it.
        ("on-a-screen.gif", 6, &0xF000u16.to_le_bytes()[..]),
        ("plain.gif", 13 + 96 + 5, &0xF000u16.to_le_bytes()),
        // Width of the canvas, less one.
        ("one-frame-on-a-canvas.webp", 24, &[0xFF, 0xFF, 0xFF]),
        ("interlaced.gif", 6, &0xF000u16.to_le_bytes()),
    ] {
        let mut bytes = support::picture(&format!("../containers/{name}"));
        bytes[at..at + side.len()].copy_from_slice(side);
        let limits = Limits { max_side: 0xEFFF, ..Limits::default() };
        for error in [clip::preprocess(&bytes, &limits).unwrap_err(), clip::measure(&bytes, &limits).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::SideTooLong, "{name}: {error}");
        }
    }
    let limits = Limits { max_memory: 16 << 20, ..Limits::default() };
    let mut bytes = support::picture("../containers/on-a-screen.gif");
    bytes[6..10].copy_from_slice(&[0, 0x10, 0, 0x10]);
    assert_eq!(clip::preprocess(&bytes, &limits).unwrap_err().kind(), ErrorKind::TooMuchMemory);
}
