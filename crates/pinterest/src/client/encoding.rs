//! The `Content-Encoding` of a body, and its decoding.
//!
//! Requests accept no encoding. Object stores return the header that was stored with the object, so it may be empty or
//! name something that is not an encoding of the body (`aws-chunked` of the upload, a character set): such names are
//! ignored, as browsers do. Real encodings are those of RFC 9110, section 8.4.1, and its updates.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::error::{Error, ErrorKind};

/// An encoding that changes the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    /// The zlib format (RFC 1950), or its contents alone (RFC 1951), which some servers send instead.
    Deflate,
    /// One that is not supported.
    Other(&'static str),
}

/// Encodings of one body that are decoded; more are a decompression bomb or a mistake.
const MOST: usize = 2;

/// The real encodings of an answer, in the order in which they were applied.
pub(super) fn of(headers: &HeaderMap) -> Vec<Coding> {
    let lines = headers.get_all(CONTENT_ENCODING);
    let names = lines.iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    names.filter_map(|name| read(name.trim_ascii())).collect()
}

fn read(name: &[u8]) -> Option<Coding> {
    let name = name.to_ascii_lowercase();
    match name.as_slice() {
        b"gzip" | b"x-gzip" => return Some(Coding::Gzip),
        b"deflate" => return Some(Coding::Deflate),
        _ => {}
    }
    let known = ["br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip", "aes128gcm"];
    known.into_iter().find(|known| known.as_bytes() == name).map(Coding::Other)
}

/// Decodes an image.
///
/// # Errors
/// [`ErrorKind::TooLarge`] as soon as it has more than `cap` bytes; [`ErrorKind::Protocol`] for an unsupported encoding and
/// for invalid bytes.
pub(super) fn undo(mut bytes: Vec<u8>, codings: &[Coding], cap: usize) -> Result<Vec<u8>, Error> {
    if codings.len() > MOST {
        return Err(protocol(format!("the image is compressed {} times, at most {MOST} are allowed", codings.len())));
    }
    for coding in codings.iter().rev() {
        bytes = match coding {
            // Some objects are stored uncompressed with a header that names gzip.
            Coding::Gzip if !bytes.starts_with(b"\x1f\x8b") => bytes,
            Coding::Gzip => read_all(MultiGzDecoder::new(bytes.as_slice()), "gzip", cap)?,
            Coding::Deflate if is_zlib(&bytes) => read_all(ZlibDecoder::new(bytes.as_slice()), "deflate", cap)?,
            Coding::Deflate => read_all(DeflateDecoder::new(bytes.as_slice()), "deflate", cap)?,
            Coding::Other(name) => {
                return Err(protocol(format!("the image is compressed ({name}), which is not supported")));
            }
        };
    }
    Ok(bytes)
}

/// Method 8 with a valid check (RFC 1950, section 2.2).
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

fn read_all(decoder: impl Read, name: &str, cap: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut limited = decoder.take(cap as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(|_| protocol(format!("invalid {name} data in the image")))?;
    if bytes.len() > cap {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the image has more than {cap} bytes after decompression"),
        ));
    }
    Ok(bytes)
}

fn protocol(detail: String) -> Error {
    Error::new(ErrorKind::Protocol, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn codings(lines: &[&[u8]]) -> Vec<Coding> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, HeaderValue::from_bytes(line).unwrap());
        }
        of(&headers)
    }

    #[test]
    fn names_that_are_not_encodings_are_ignored() {
        for lines in [
            &[][..],
            &[&b""[..]],
            &[b"identity"],
            &[b"IDENTITY"],
            &[b"identity, identity"],
            &[b"identity", b""],
            &[b","],
            &[b"aws-chunked"],
            &[b"AWS-Chunked, identity"],
            &[b"utf-8"],
            &[b"UTF-8"],
            &[b"binary"],
            &[b"none"],
            &[b"null"],
            &[b"base64"],
            &[b"8bit"],
            &[b"image/jpeg"],
            &[b"iso-8859-1"],
            &[b"m\xfcll"],
        ] {
            assert_eq!(codings(lines), [], "{lines:?}");
        }
    }

    #[test]
    fn real_encodings_are_found_among_others() {
        use Coding::*;
        for (lines, expected) in [
            (&[&b"gzip"[..]][..], &[Gzip][..]),
            (&[b"GZIP"], &[Gzip]),
            (&[b"x-gzip"], &[Gzip]),
            (&[b"aws-chunked, gzip"], &[Gzip]),
            (&[b"gzip,aws-chunked"], &[Gzip]),
            (&[b"identity", b"br"], &[Other("br")]),
            (&[b" deflate ,gzip"], &[Deflate, Gzip]),
            (&[b"zstd"], &[Other("zstd")]),
        ] {
            assert_eq!(codings(lines), expected, "{lines:?}");
        }
    }

    fn pack(bytes: &[u8], coding: &str) -> Vec<u8> {
        match coding {
            "gzip" => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::best());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            "zlib" => {
                let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
            _ => {
                let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            }
        }
    }

    #[test]
    fn compressed_bytes_are_decoded_within_the_limit() {
        let bytes = vec![7; 10_000];
        let twice = pack(&pack(&bytes, "zlib"), "gzip");
        for (packed, codings) in [
            (bytes.clone(), vec![]),
            (bytes.clone(), vec![Coding::Gzip]),
            (pack(&bytes, "gzip"), vec![Coding::Gzip]),
            (pack(&bytes, "zlib"), vec![Coding::Deflate]),
            (pack(&bytes, "raw"), vec![Coding::Deflate]),
            (twice, vec![Coding::Deflate, Coding::Gzip]),
        ] {
            assert_eq!(undo(packed.clone(), &codings, 10_000).unwrap(), bytes, "{codings:?}");
            if packed != bytes {
                let error = undo(packed, &codings, 9_999).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TooLarge, "{codings:?}");
            }
        }
    }

    #[test]
    fn a_decompression_bomb_is_refused() {
        // A thousand to one, twice over.
        let bomb = pack(&pack(&vec![0; 100 << 20], "gzip"), "gzip");
        let error = undo(bomb, &[Coding::Gzip, Coding::Gzip], 1 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let error = undo(vec![0x1f, 0x8b], &[Coding::Gzip; 3], 1 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }

    #[test]
    fn undecodable_bytes_are_reported() {
        let cut = pack(&[7; 10_000], "gzip")[..20].to_vec();
        for (bytes, coding, expected) in [
            (cut, Coding::Gzip, "invalid gzip data"),
            (b"\xff\xd8\xff".to_vec(), Coding::Deflate, "invalid deflate data"),
            (b"abc".to_vec(), Coding::Other("br"), "compressed (br)"),
        ] {
            let error = undo(bytes, &[coding], 1 << 20).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_pass_the_cap(bytes in proptest::collection::vec(any::<u8>(), 0..200), gzip in any::<bool>()) {
            let (mut bytes, coding) = if gzip { ([b"\x1f\x8b\x08\x00".to_vec(), bytes].concat(), Coding::Gzip) } else { (bytes, Coding::Deflate) };
            bytes.truncate(150);
            if let Ok(unpacked) = undo(bytes, &[coding], 1000) {
                prop_assert!(unpacked.len() <= 1000);
            }
        }
    }
}
