use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{FrameKind, Header};
use crate::error::{Error, Inner};

/// Largest image that is sent, in bytes: 256 MiB. A server has its own, smaller limit.
pub const MAX_IMAGE_BYTES: usize = 256 * 1024 * 1024;

/// Longest text that is sent, in bytes of UTF-8: room for the server to refuse a text with its own, smaller limit.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The bytes before the image in a request for a thumbnail.
pub(super) const SIDE_BYTES: usize = 2;

/// How an image of several frames is handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Animations {
    /// Its first frame is embedded, and [`Embedded::animated`](crate::Embedded::animated) is set.
    #[default]
    FirstFrame,
    /// It is refused, as [`Animated`](crate::ErrorKind::Animated).
    Refuse,
}

/// A request of a client.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// The embedding of an encoded image.
    Image(Bytes, Animations),
    /// The embedding and the thumbnail of an encoded image.
    ImageWithThumbnail(Bytes, Animations),
    /// The thumbnail of an encoded image, with its longest side in pixels.
    Thumbnail(Bytes, u16),
    /// The embedding of a text.
    Text(String),
    /// The state of the server.
    Info,
    /// The states of the embedders behind the server.
    Embedders,
}

impl Request {
    /// Encodes header and payload for sending, in this order.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge) or [`TextTooLong`](crate::ErrorKind::TextTooLong) if the payload is over
    /// the limit of its kind.
    pub fn encode(self, id: u64) -> Result<(Header, Bytes), Error> {
        let (kind, payload) = match self {
            Self::Image(image, _) | Self::ImageWithThumbnail(image, _) | Self::Thumbnail(image, _)
                if image.len() > MAX_IMAGE_BYTES =>
            {
                return Err(Inner::ImageTooLarge { found: image.len(), limit: MAX_IMAGE_BYTES }.into());
            }
            Self::Image(image, Animations::FirstFrame) => (FrameKind::Image, image),
            Self::Image(image, Animations::Refuse) => (FrameKind::StillImage, image),
            Self::ImageWithThumbnail(image, Animations::FirstFrame) => (FrameKind::ImageWithThumbnail, image),
            Self::ImageWithThumbnail(image, Animations::Refuse) => (FrameKind::StillImageWithThumbnail, image),
            Self::Thumbnail(image, side) => {
                let mut payload = BytesMut::with_capacity(SIDE_BYTES + image.len());
                payload.put_u16_le(side);
                payload.extend_from_slice(&image);
                (FrameKind::AskThumbnail, payload.freeze())
            }
            Self::Text(text) if text.len() > MAX_TEXT_BYTES => {
                return Err(Inner::TextTooLong { found: text.len(), limit: MAX_TEXT_BYTES }.into());
            }
            Self::Text(text) => (FrameKind::Text, Bytes::from(text)),
            Self::Info => (FrameKind::AskInfo, Bytes::new()),
            Self::Embedders => (FrameKind::AskEmbedders, Bytes::new()),
        };
        let length = payload.len() as u32;
        Ok((Header { kind, id, length }, payload))
    }

    /// Decodes the payload after a header of `kind`.
    ///
    /// # Errors
    ///
    /// [`Protocol`](crate::ErrorKind::Protocol) if `kind` is not a request or the payload is invalid.
    pub fn decode(kind: FrameKind, mut payload: Bytes) -> Result<Self, Error> {
        match kind {
            FrameKind::Image => Ok(Self::Image(payload, Animations::FirstFrame)),
            FrameKind::StillImage => Ok(Self::Image(payload, Animations::Refuse)),
            FrameKind::ImageWithThumbnail => Ok(Self::ImageWithThumbnail(payload, Animations::FirstFrame)),
            FrameKind::StillImageWithThumbnail => Ok(Self::ImageWithThumbnail(payload, Animations::Refuse)),
            FrameKind::AskThumbnail if payload.len() < SIDE_BYTES => {
                Err(Inner::PayloadLength { kind: kind as u8, found: payload.len(), needed: SIDE_BYTES }.into())
            }
            FrameKind::AskThumbnail => {
                let side = payload.get_u16_le();
                Ok(Self::Thumbnail(payload, side))
            }
            FrameKind::Text => String::from_utf8(payload.into())
                .map(Self::Text)
                .map_err(|_| Inner::NotUtf8 { kind: kind as u8 }.into()),
            FrameKind::AskInfo if payload.is_empty() => Ok(Self::Info),
            FrameKind::AskEmbedders if payload.is_empty() => Ok(Self::Embedders),
            FrameKind::AskInfo | FrameKind::AskEmbedders => {
                Err(Inner::PayloadLength { kind: kind as u8, found: payload.len(), needed: 0 }.into())
            }
            _ => Err(Inner::NotARequest { kind: kind as u8 }.into()),
        }
    }
}

/// Shows sizes, but no contents.
impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image, animations) => write!(formatter, "Image({} bytes, {animations:?})", image.len()),
            Self::ImageWithThumbnail(image, animations) => {
                write!(formatter, "ImageWithThumbnail({} bytes, {animations:?})", image.len())
            }
            Self::Thumbnail(image, side) => write!(formatter, "Thumbnail({} bytes, {side} pixels)", image.len()),
            Self::Text(text) => write!(formatter, "Text({} bytes)", text.len()),
            Self::Info => formatter.write_str("Info"),
            Self::Embedders => formatter.write_str("Embedders"),
        }
    }
}
