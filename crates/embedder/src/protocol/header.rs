use super::{MAX_IMAGE_BYTES, MAX_TEXT_BYTES, MAX_THUMBNAIL_BYTES, embedders, report, request, response};
use crate::error::{Error, Inner};

/// The first four bytes of every frame.
pub const MAGIC: [u8; 4] = *b"PEMB";

/// The version of the frame layout.
pub const VERSION: u8 = 1;

/// Length of a frame's header, in bytes.
pub const HEADER_BYTES: usize = 20;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum FrameKind {
    /// An image to embed, or the first frame of an animation.
    Image = 0x01,
    /// A text to embed.
    Text = 0x02,
    /// A request for the server's state.
    AskInfo = 0x03,
    /// An image to embed, unless it is an animation.
    StillImage = 0x04,
    /// An image to embed, or the first frame of an animation, and to make a thumbnail of.
    ImageWithThumbnail = 0x05,
    /// An image to embed and to make a thumbnail of, unless it is an animation.
    StillImageWithThumbnail = 0x06,
    /// An image to make a thumbnail of, and not to embed.
    AskThumbnail = 0x07,
    /// A request for the states of the embedders behind the server.
    AskEmbedders = 0x08,
    /// The answer to an image or a text.
    Embedding = 0x81,
    /// The answer to a request for the server's state.
    Info = 0x82,
    /// The answer to a request that failed.
    Error = 0x83,
    /// The server ends.
    Goodbye = 0x84,
    /// The answer to an image to embed and to make a thumbnail of.
    EmbeddingWithThumbnail = 0x85,
    /// The answer to an image to make a thumbnail of.
    Thumbnail = 0x86,
    /// What the server has done, for its parent process.
    Report = 0x87,
    /// The answer to a request for the states of the embedders behind the server.
    Embedders = 0x88,
}

impl FrameKind {
    /// The largest payload, in bytes. A header with a larger length is refused before anything is allocated.
    pub const fn max_payload(self) -> usize {
        match self {
            Self::Image | Self::StillImage | Self::ImageWithThumbnail | Self::StillImageWithThumbnail => {
                MAX_IMAGE_BYTES
            }
            Self::AskThumbnail => request::SIDE_BYTES + MAX_IMAGE_BYTES,
            Self::Text => MAX_TEXT_BYTES,
            Self::AskInfo | Self::AskEmbedders | Self::Goodbye => 0,
            Self::Embedding => response::EMBEDDING_BYTES,
            Self::EmbeddingWithThumbnail => response::EMBEDDING_BYTES + MAX_THUMBNAIL_BYTES,
            Self::Thumbnail => MAX_THUMBNAIL_BYTES,
            Self::Info | Self::Error => response::MAX_DESCRIPTION_BYTES,
            Self::Report => report::MAX_PAYLOAD,
            Self::Embedders => embedders::MAX_PAYLOAD,
        }
    }

    /// Whether a client sends it, and not a server.
    pub const fn is_request(self) -> bool {
        self.is_image() || matches!(self, Self::Text | Self::AskInfo | Self::AskEmbedders)
    }

    /// Whether its payload is an encoded image, after at most a few other bytes.
    pub const fn is_image(self) -> bool {
        matches!(
            self,
            Self::Image
                | Self::StillImage
                | Self::ImageWithThumbnail
                | Self::StillImageWithThumbnail
                | Self::AskThumbnail
        )
    }

    /// All kinds.
    pub const ALL: [FrameKind; 16] = [
        FrameKind::Image,
        FrameKind::Text,
        FrameKind::AskInfo,
        FrameKind::StillImage,
        FrameKind::ImageWithThumbnail,
        FrameKind::StillImageWithThumbnail,
        FrameKind::AskThumbnail,
        FrameKind::AskEmbedders,
        FrameKind::Embedding,
        FrameKind::Info,
        FrameKind::Error,
        FrameKind::Goodbye,
        FrameKind::EmbeddingWithThumbnail,
        FrameKind::Thumbnail,
        FrameKind::Report,
        FrameKind::Embedders,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == byte)
    }
}

/// The bytes before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of the payload.
    pub kind: FrameKind,
    /// The request's number; 0 if the frame concerns the whole connection.
    pub id: u64,
    /// Length of the payload, in bytes; at most [`FrameKind::max_payload`].
    pub length: u32,
}

impl Header {
    /// Encodes the header for sending.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// Decodes a received header.
    ///
    /// # Errors
    ///
    /// [`Protocol`](crate::ErrorKind::Protocol) if magic, version, kind, the reserved field or the length is not one of
    /// this version's.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Error> {
        let [m0, m1, m2, m3, version, kind, r0, r1, rest @ ..] = *bytes;
        let found = [m0, m1, m2, m3];
        if found != MAGIC {
            return Err(Inner::Magic { found, expected: MAGIC }.into());
        }
        if version != VERSION {
            return Err(Inner::Version { found: version, expected: VERSION }.into());
        }
        let kind = FrameKind::from_byte(kind).ok_or(Inner::FrameKind { found: kind })?;
        let reserved = u16::from_le_bytes([r0, r1]);
        if reserved != 0 {
            return Err(Inner::Reserved { found: reserved }.into());
        }
        let [i0, i1, i2, i3, i4, i5, i6, i7, l0, l1, l2, l3] = rest;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let limit = kind.max_payload() as u32;
        if length > limit {
            return Err(Inner::FrameTooLarge { kind: kind as u8, found: length, limit }.into());
        }
        Ok(Self { kind, id: u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]), length })
    }
}
