//! What may be sent to the embedder; checked before anything oversized is read or copied around.

use embedder::protocol::MAX_IMAGE_BYTES;

use crate::errors::{Failure, Kind};

/// Bytes of an image at most.
pub const LARGEST_IMAGE: usize = MAX_IMAGE_BYTES;
/// Bytes of a text at most: ten times what 77 tokens of CLIP's vocabulary can hold. More is a mistake, not a query.
pub const LONGEST_TEXT: usize = 4096;

/// Refuses an image of this many bytes as the embedder would.
pub fn check_image(bytes: usize) -> Result<(), Failure> {
    match bytes {
        0 => Err(Failure::new(Kind::BadImage, "the image has 0 bytes")),
        1..=LARGEST_IMAGE => Ok(()),
        _ => Err(Failure::new(
            Kind::TooLarge,
            format!("the image has {bytes} bytes, more than the limit of {LARGEST_IMAGE}"),
        )),
    }
}

/// Refuses a text of this many bytes.
pub fn check_length(bytes: usize) -> Result<(), Failure> {
    if bytes > LONGEST_TEXT {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("the text has {bytes} bytes, more than the limit of {LONGEST_TEXT}"),
        )
        .with_hint("CLIP reads 77 tokens, about 50 words; the rest would be cut off."));
    }
    Ok(())
}

/// Refuses an empty text and one that is too long.
pub fn check_text(text: &str) -> Result<(), Failure> {
    check_length(text.len())?;
    if text.trim().is_empty() {
        return Err(Failure::new(Kind::BadArgument, "the text is empty"));
    }
    Ok(())
}
