//! Recognises the format of a file by its first bytes, since names and media types are unreliable.

/// Formats that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
}

/// Data that is recognised, but not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// An image of another format.
    Image(&'static str),
    /// Data that is not an image, with its article.
    NoImage(&'static str),
}

/// Bytes of a text that are searched for an element: comments and a byte order mark may precede it.
const SEARCHED_TEXT: usize = 1024;

/// The format. The error is the name of other data, or `None` if it is not recognised.
pub(super) fn format(bytes: &[u8]) -> Result<Format, Option<Other>> {
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Ok(Format::Jpeg)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        Ok(Format::Png)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Ok(Format::WebP)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Ok(Format::Gif)
    } else {
        Err(other(bytes))
    }
}

fn other(bytes: &[u8]) -> Option<Other> {
    use Other::{Image, NoImage};
    const PREFIXES: &[(&[u8], Other)] = &[
        (b"II*\0", Image("TIFF")),
        (b"MM\0*", Image("TIFF")),
        (b"II+\0", Image("TIFF")),
        (b"MM\0+", Image("TIFF")),
        (b"\0\0\x01\0", Image("ICO")),
        (b"\0\0\x02\0", Image("ICO")),
        (b"\xFF\x0A", Image("JPEG XL")),
        (b"\0\0\0\x0CJXL \r\n\x87\n", Image("JPEG XL")),
        (b"\0\0\0\x0CjP  \r\n\x87\n", Image("JPEG 2000")),
        (b"\xFF\x4F\xFF\x51", Image("JPEG 2000")),
        (b"8BPS", Image("PSD")),
        (b"%PDF-", NoImage("a PDF document")),
        (b"\x1A\x45\xDF\xA3", NoImage("a video")),
        (b"\x1F\x8B", NoImage("a gzip file")),
    ];
    if let Some((_, other)) = PREFIXES.iter().find(|(prefix, _)| bytes.starts_with(prefix)) {
        return Some(*other);
    }
    // Two letters are not sufficient; the reserved field after the length is 0 in every bitmap.
    if bytes.starts_with(b"BM") && bytes.get(6..10) == Some(&[0; 4]) {
        return Some(Image("BMP"));
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(brand(bytes));
    }
    text(bytes)
}

/// The brands of an ISO base media file (ISO/IEC 14496-12, 4.3): the major one, then, after a version, the compatible ones.
fn brand(bytes: &[u8]) -> Other {
    let length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let (brands, _) = bytes[8..bytes.len().min(length.max(12))].as_chunks::<4>();
    let names = |wanted: &[&[u8; 4]]| brands.iter().any(|brand| wanted.contains(&brand));
    if names(&[b"avif", b"avis"]) {
        Other::Image("AVIF")
    } else if names(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        Other::Image("HEIC")
    } else {
        Other::NoImage("a video")
    }
}

fn text(bytes: &[u8]) -> Option<Other> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let start = bytes[..bytes.len().min(SEARCHED_TEXT)].to_ascii_lowercase();
    let contains = |tag: &[u8]| start.windows(tag.len()).any(|window| window == tag);
    match start.first()? {
        b'<' if contains(b"<html") || contains(b"<!doctype html") => Some(Other::NoImage("an HTML document")),
        b'<' if contains(b"<svg") => Some(Other::Image("SVG")),
        b'<' if start.starts_with(b"<?xml") => Some(Other::NoImage("an XML document")),
        b'<' if contains(b"<body") || contains(b"<head") => Some(Other::NoImage("an HTML document")),
        b'{' | b'[' if std::str::from_utf8(bytes).is_ok() => Some(Other::NoImage("a JSON document")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_named() {
        let image = |name| Err(Some(Other::Image(name)));
        let no_image = |name| Err(Some(Other::NoImage(name)));
        for (bytes, expected) in [
            (&b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B"[..], image("AVIF")),
            (b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf", image("AVIF")),
            (b"\0\0\0\x18ftypavis\0\0\0\0avismsf1", image("AVIF")),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", image("HEIC")),
            // A brand outside the box does not count.
            (b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif", image("HEIC")),
            (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", no_image("a video")),
            (b"\0\0\0\x0CftypM4V ", no_image("a video")),
            (b"ftypftyp", no_image("a video")),
            (b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0", image("BMP")),
            (b"II*\0\x08\0\0\0", image("TIFF")),
            (b"\0\0\x01\0\x01\0", image("ICO")),
            (b"\xFF\x0A\xFA", image("JPEG XL")),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", image("SVG")),
            (b"\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- drawn --><svg/>", image("SVG")),
            (b"%PDF-1.7", no_image("a PDF document")),
            (b"\r\n<!DOCTYPE HTML><title>404</title>", no_image("an HTML document")),
            (b"<html><body><svg/></body></html>", no_image("an HTML document")),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", no_image("an XML document")),
            (b"{\"code\": 404}", no_image("a JSON document")),
            (b"BMW is no bitmap", Err(None)),
            (b"RIFF\x24\0\0\0WAVEfmt ", Err(None)),
            (b"GIF88a", Err(None)),
            (b"\xFF", Err(None)),
            (b"", Err(None)),
            (b"GIF89a", Ok(Format::Gif)),
        ] {
            assert_eq!(format(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
