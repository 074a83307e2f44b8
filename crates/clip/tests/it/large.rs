//! Images of the size that cameras make are equal to Pillow's to the bit.

use clip::Limits;
use image::ImageFormat;
use sha2::{Digest, Sha256};

use crate::draw::{Scene, jpeg, lossless};
use crate::support;

/// The encoding of an image.
#[derive(Clone, Copy, Debug)]
enum Codec {
    Jpeg,
    Progressive,
    Png,
    WebP,
}

/// Name, size, and the SHA-256 of Pillow's window of the same bytes, by `tests/fixtures/large_windows.py`.
const PICTURES: [(Scene, Codec, [usize; 2], &str); 14] = [
    (Scene::Photograph, Codec::Jpeg, [6000, 4000], "234933e0481814ad9df6e8527797bf6938a333b11cd2afaa99508df17ba4a179"),
    (Scene::Photograph, Codec::Jpeg, [8256, 5504], "901a3f14a1957df2d008e41781d240feff78a4f402b8352ae9488e38a4347262"),
    (Scene::Noise, Codec::Jpeg, [5504, 8256], "57a7e25f29c450a94645be37e2e4b18d84c63289b27b5f5b52978c195bb3a12a"),
    (Scene::Text, Codec::Progressive, [8000, 6000], "d9497bf7db442f6b4b45830f9c31f423acd3e8c611c4f8a20190b1f717ae8e30"),
    (
        Scene::Photograph,
        Codec::Progressive,
        [4000, 6000],
        "64764a35b82602cd7570efbd3600f2a0a6afb64d8d8dc8d38a4906ca09d830a0",
    ),
    (Scene::Gradient, Codec::Png, [8000, 6000], "6b7ef189fa33672e6516da588b4ea3069d134c268ed8af079e86aee5a68fa6a0"),
    (Scene::Text, Codec::WebP, [6000, 4000], "ec505d707bf9674ec3284cdd066033fa208647e6ae1501fc7653ed029582a963"),
    (Scene::Photograph, Codec::Jpeg, [9000, 900], "2477d3822f603cb6258d684fad7a3e84bd9b966e6b85317be0ff6c131e6c154f"),
    (Scene::Photograph, Codec::Png, [30_000, 300], "d2f278e1bb62a8c9f1405631fc7d0f9fec5e4c2dab610c801183813e2c8168f5"),
    (Scene::Text, Codec::Jpeg, [300, 30_000], "322d0b328e8feccf4d8499f7297274466b43551d9c85256b487af5736a711190"),
    (Scene::Noise, Codec::Png, [1, 60_000], "4e5d21aa190b9d47fdd3abfe0c64ee52810e61cede6165c9a9d1015c5bf67472"),
    (Scene::Noise, Codec::Jpeg, [60_000, 1], "ab7760f68e816bd05d4ebf3b83dfb35d7b3bd51b4b36f422bf541d8d1412f22a"),
    (Scene::Noise, Codec::Jpeg, [1, 60_000], "e69a4d07711e72e724f93dfe99ad242bc2c2128536b27429e9af33d50f1ce5af"),
    (
        Scene::Photograph,
        Codec::Jpeg,
        [11_648, 8736],
        "bdd36740bdfe0dc77ed04af4b31c6c8cc6ad0102512f784fda5e847618a1ae8a",
    ),
];

fn encode(scene: Scene, codec: Codec, [width, height]: [usize; 2]) -> Vec<u8> {
    let picture = scene.draw(width, height);
    match codec {
        Codec::Jpeg => jpeg(&picture, false),
        Codec::Progressive => jpeg(&picture, true),
        Codec::Png => lossless(&picture, ImageFormat::Png),
        Codec::WebP => lossless(&picture, ImageFormat::WebP),
    }
}

#[test]
fn windows_of_large_pictures_are_equal_to_pillows() {
    // If it is set, the images are kept for the script.
    let directory = std::env::var_os("LARGE_PICTURES").map(std::path::PathBuf::from);
    let mut differing = vec![];
    for (scene, codec, size, expected) in PICTURES {
        let bytes = encode(scene, codec, size);
        let name = format!("{scene:?}-{codec:?}-{}x{}", size[0], size[1]);
        if let Some(directory) = &directory {
            std::fs::write(directory.join(&name), &bytes).unwrap();
        }
        let window = clip::window(&bytes, &Limits::default()).unwrap();
        if format!("{:x}", Sha256::digest(window.as_rgb())) != expected {
            differing.push(name);
        }
    }
    assert!(differing.is_empty(), "differ from Pillow's: {differing:?}");
}

/// An EXIF orientation, as of an upright phone, has the same effect as turned pixels.
#[test]
fn a_rotated_photograph_equals_its_rotated_pixels() {
    let upright = Scene::Photograph.draw(3000, 4000);
    // Stored sideways; orientation 6 turns it clockwise.
    let lying = image::imageops::rotate270(&upright);
    let png = lossless(&lying, ImageFormat::Png);
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = [&png[..33], &chunk(b"eXIf", exif), &png[33..]].concat();
    let limits = Limits::default();
    let expected = clip::window(&lossless(&upright, ImageFormat::Png), &limits).unwrap();
    assert!(clip::window(&turned, &limits).unwrap() == expected);
    assert!(clip::window(&png, &limits).unwrap() != expected);
}

/// An interlaced PNG, whose rows come in seven passes.
#[test]
fn interlacing_does_not_change_pixels() {
    for (width, height) in [(1, 1), (5, 3), (231, 417)] {
        let picture = Scene::Noise.draw(width, height);
        let limits = Limits::default();
        let expected = clip::window(&support::png(&picture), &limits).unwrap();
        assert!(clip::window(&interlaced(&picture), &limits).unwrap() == expected, "{width} x {height}");
    }
}

/// Adam7 without filters and without compression (PNG specification, 8.2).
fn interlaced(picture: &image::RgbImage) -> Vec<u8> {
    const PASSES: [[usize; 4]; 7] =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut raw = vec![];
    for [x0, y0, dx, dy] in PASSES {
        for y in (y0..height).step_by(dy).filter(|_| x0 < width) {
            raw.push(0);
            (x0..width).step_by(dx).for_each(|x| raw.extend(picture.get_pixel(x as u32, y as u32).0));
        }
    }
    let mut zlib = vec![0x78, 0x01];
    let mut blocks = raw.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        zlib.push(u8::from(blocks.peek().is_none()));
        zlib.extend(length.to_le_bytes());
        zlib.extend((!length).to_le_bytes());
        zlib.extend(block);
    }
    let (a, b) = raw.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    zlib.extend((b << 16 | a).to_be_bytes());
    let header = [&(width as u32).to_be_bytes()[..], &(height as u32).to_be_bytes(), &[8, 2, 0, 0, 1]].concat();
    [&b"\x89PNG\r\n\x1A\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &zlib), &chunk(b"IEND", b"")].concat()
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let named = [&name[..], content].concat();
    let crc = named.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    [&(content.len() as u32).to_be_bytes()[..], &named, &(!crc).to_be_bytes()].concat()
}
