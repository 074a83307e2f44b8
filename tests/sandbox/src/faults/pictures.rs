//! Faults of images: files with a wrong size, type or content.

use bytes::Bytes;
use flate2::Crc;

use super::{Fault, PictureFormat};
use crate::cdn::encode;
use crate::random::{Random, mix};
use crate::requests::Kind;
use crate::scene::{Family, draw};
use crate::server::answer::{Answer, Payload};

/// One transparent pixel.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// The same with a second frame.
const ANIMATED_GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0\
    ,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";
const SVG: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" height=\"900\"/>";

/// The format of an image in place of that of its extension.
pub(crate) fn other_format(faults: &[Fault]) -> Option<PictureFormat> {
    faults.iter().find_map(|fault| match fault {
        Fault::OtherFormat { format } => Some(*format),
        _ => None,
    })
}

/// Applies a fault to an image; other answers, including errors, are unchanged.
pub(crate) fn change(answer: &mut Answer, fault: &Fault, kind: Kind) {
    if !kind.is_picture() || answer.status != 200 {
        return;
    }
    let Payload::Bytes { content_type, bytes } = &mut answer.body else {
        return;
    };
    match fault {
        Fault::ImageBomb { format } => {
            *content_type = format.content_type().into();
            *bytes = bomb(*format);
        }
        Fault::Enlarged { width, height } => {
            *content_type = PictureFormat::Jpeg.content_type().into();
            *bytes = enlarged(*width, *height);
        }
        Fault::CorruptImage => *bytes = corrupt(bytes),
        Fault::Gif => {
            *content_type = "image/gif".into();
            *bytes = Bytes::from_static(GIF);
        }
        Fault::AnimatedGif => {
            *content_type = "image/gif".into();
            *bytes = Bytes::from_static(ANIMATED_GIF);
        }
        Fault::UnknownType => {
            *content_type = "image/svg+xml".into();
            *bytes = Bytes::from_static(SVG);
        }
        Fault::Verbatim { text } => *bytes = text.clone().into(),
        _ => {}
    }
}

/// A scene repeated as tiles, because drawing a large one takes long.
fn enlarged(width: u16, height: u16) -> Bytes {
    let tile = draw(Family::Beach, u64::from(width) ^ u64::from(height), 300, 200);
    let [across, down] = [tile.width(), tile.height()];
    let picture = image::RgbImage::from_fn(width.into(), height.into(), |x, y| *tile.get_pixel(x % across, y % down));
    encode(&picture, PictureFormat::Jpeg, 80)
}

/// Noise over the middle third, after the headers, so that only a decoder notices.
fn corrupt(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let third = bytes.len() / 3;
    let mut random = Random::new(mix(&[bytes.len() as u64]));
    for byte in &mut bytes[third..2 * third] {
        *byte = random.next() as u8;
    }
    bytes.into()
}

/// A small valid file whose header is changed to the largest size of the format.
fn bomb(format: PictureFormat) -> Bytes {
    let mut bytes = encode(&draw(Family::Beach, 0, 16, 16), format, 80).to_vec();
    match format {
        PictureFormat::Jpeg => jpeg_bomb(&mut bytes),
        PictureFormat::Png => png_bomb(&mut bytes),
        PictureFormat::Webp => webp_bomb(&mut bytes),
    }
    bytes.into()
}

/// ITU T.81, B.2.2: the frame header holds height and width, big-endian, after marker, length and precision.
fn jpeg_bomb(bytes: &mut [u8]) {
    let frame = bytes
        .windows(2)
        .position(|marker| marker == [0xFF, 0xC0])
        .unwrap_or_else(|| unreachable!("this is a bug: a baseline JPEG has a frame header"));
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
}

/// PNG, 11.2.2: the header chunk follows the 8 bytes of the signature; its checksum must match.
fn png_bomb(bytes: &mut [u8]) {
    let side = 60_000_u32.to_be_bytes();
    bytes[16..20].copy_from_slice(&side);
    bytes[20..24].copy_from_slice(&side);
    let mut crc = Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
}

/// WebP lossless, 4: after the signature byte come 14 bits of width − 1 and 14 bits of height − 1. One less
/// than the maximum, which some decoders reject.
fn webp_bomb(bytes: &mut [u8]) {
    const SIDE_LESS_ONE: u32 = 0x3FFE;
    let chunk = bytes
        .windows(4)
        .position(|name| name == b"VP8L")
        .unwrap_or_else(|| unreachable!("this is a bug: a lossless WebP has a VP8L chunk"));
    let sides = (SIDE_LESS_ONE | SIDE_LESS_ONE << 14).to_le_bytes();
    bytes[chunk + 9..chunk + 12].copy_from_slice(&sides[..3]);
    // The upper half of the last byte is not part of the size.
    bytes[chunk + 12] = bytes[chunk + 12] & 0xF0 | sides[3];
}
