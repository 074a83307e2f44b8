use std::fmt;

use bytes::Bytes;

use super::embedders::{Member, put_members, take_members};
use super::fields::{Fields, cut, put_string};
use super::{FrameKind, HEADER_BYTES, Header};
use crate::error::{Error, ErrorKind, Inner};
use crate::{DIMENSION, ModelFingerprint};

pub(super) const EMBEDDING_BYTES: usize = 32 + 4 * DIMENSION + 1;

/// Largest thumbnail, in bytes: several times that of a usual one.
pub const MAX_THUMBNAIL_BYTES: usize = 64 * 1024;

/// Largest payload of an info or an error, in bytes.
pub(super) const MAX_DESCRIPTION_BYTES: usize = 8 * 1024;

/// Longest string in an info or an error, in bytes; a longer one is truncated.
const MAX_STRING_BYTES: usize = 1024;

/// A response of the server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Response {
    /// The answer to an image or a text. The client checks the vector.
    Embedding {
        /// The model that made it.
        model: ModelFingerprint,
        /// The numbers as they were sent.
        vector: Box<[f32; DIMENSION]>,
        /// Whether it is that of the first frame of an animation.
        animated: bool,
        /// The thumbnail, if one was asked for: a JPEG, or empty if none could be made.
        thumbnail: Option<Bytes>,
    },
    /// The answer to a request for a thumbnail: a JPEG, or empty if none could be made.
    Thumbnail(Bytes),
    /// The answer to a request for the server's state.
    Info(Box<Info>),
    /// The answer to a request that failed.
    Error {
        /// The kind of failure; not the one that only a client can detect.
        kind: ErrorKind,
        /// One sentence without a line break.
        message: String,
    },
    /// The answer to a request for the embedders behind the server; none if it computes itself.
    Embedders(Vec<Member>),
    /// The server ends in good order.
    Goodbye,
}

/// The state of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its process ID.
    pub pid: u32,
    /// Threads it computes with.
    pub threads: u32,
    /// Its version.
    pub version: String,
    /// Its finished and waiting work.
    pub statistics: Statistics,
    /// The sandbox it runs in.
    pub sandbox: Sandbox,
    /// Its model.
    pub model: ModelState,
}

/// The sandbox of a process. `Display` describes it in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// The version of Landlock that limits files to those of the model; 0 if there is none.
    pub landlock: u8,
    /// Whether seccomp limits system calls: the process cannot open sockets, start programs or reach other processes.
    pub seccomp: bool,
    /// Whether no file can be opened any more.
    pub sealed: bool,
    /// Which parts are not in force, and why; `None` if all are.
    pub gap: Option<String>,
}

impl fmt::Display for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.landlock, self.seccomp) {
            (0, false) => formatter.write_str("none")?,
            (0, true) => formatter.write_str("seccomp")?,
            (abi, false) => write!(formatter, "Landlock (ABI {abi})")?,
            (abi, true) => write!(formatter, "Landlock (ABI {abi}) and seccomp")?,
        }
        if self.sealed {
            formatter.write_str(", sealed")?;
        }
        match &self.gap {
            Some(gap) => write!(formatter, "; {gap}"),
            None => Ok(()),
        }
    }
}

/// The work of a server since it started, and the work that waits now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Images that the model has embedded.
    pub images: u64,
    /// Forward passes of images.
    pub image_passes: u64,
    /// Texts that the model has embedded.
    pub texts: u64,
    /// Forward passes of texts.
    pub text_passes: u64,
    /// Texts answered from the cache, without the model.
    pub texts_remembered: u64,
    /// Images that wait, decoded or not.
    pub images_waiting: u32,
    /// Texts that wait.
    pub texts_waiting: u32,
    /// Recent time of a forward pass per image, in microseconds; 0 before the first.
    pub image_microseconds: u32,
}

/// The state of a server's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// It is being loaded; requests wait for it.
    Loading,
    /// It is loaded.
    Ready(Model),
    /// It could not be loaded. A later request makes the server try again.
    Failed {
        /// The kind of failure.
        kind: ErrorKind,
        /// One sentence.
        message: String,
    },
}

/// A loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The fingerprint in its embeddings.
    pub fingerprint: ModelFingerprint,
    /// SHA-256 of the weights file.
    pub weights_sha256: [u8; 32],
    /// Length of an embedding.
    pub dimension: u32,
    /// Its name.
    pub name: String,
    /// Precision of the arithmetic.
    pub precision: String,
    /// The code that multiplies matrices. Not part of the fingerprint: with the same precision, all return the same vectors up to
    /// rounding.
    pub kernels: String,
    /// Name of the procedure from encoded image to model input.
    pub preprocessing: String,
    /// What could be better about the way it was loaded, in one sentence.
    pub notice: Option<String>,
}

impl Model {
    /// The notice of untrained weights. It is sent as a notice, and not as a field, so that clients and servers of all
    /// versions understand each other.
    pub const UNTRAINED: &str = "untrained weights: rankings reflect colour and texture, not meaning";

    /// Whether the weights lack the marks that training leaves.
    pub fn is_untrained(&self) -> bool {
        self.notice.as_ref().is_some_and(|notice| notice.starts_with(Self::UNTRAINED))
    }
}

impl Response {
    /// Encodes the whole frame for sending. Strings over 1,024 bytes are truncated.
    pub fn encode(&self, id: u64) -> Vec<u8> {
        let mut frame = vec![0; HEADER_BYTES];
        let kind = match self {
            Self::Embedding { model, vector, animated, thumbnail } => {
                let more = thumbnail.as_ref().map_or(0, Bytes::len);
                frame.reserve_exact(EMBEDDING_BYTES + more);
                frame.extend_from_slice(model.as_bytes());
                frame.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
                frame.push(u8::from(*animated));
                match thumbnail {
                    None => FrameKind::Embedding,
                    Some(thumbnail) => {
                        frame.extend_from_slice(thumbnail);
                        FrameKind::EmbeddingWithThumbnail
                    }
                }
            }
            Self::Thumbnail(thumbnail) => {
                frame.extend_from_slice(thumbnail);
                FrameKind::Thumbnail
            }
            Self::Info(info) => {
                put_info(&mut frame, info);
                FrameKind::Info
            }
            Self::Embedders(members) => {
                put_members(&mut frame, members);
                FrameKind::Embedders
            }
            Self::Error { kind, message } => {
                put_failure(&mut frame, *kind, message);
                FrameKind::Error
            }
            Self::Goodbye => FrameKind::Goodbye,
        };
        let length = (frame.len() - HEADER_BYTES) as u32;
        frame[..HEADER_BYTES].copy_from_slice(&Header { kind, id, length }.encode());
        frame
    }

    /// Decodes the payload after a header of `kind`.
    ///
    /// # Errors
    ///
    /// [`Protocol`](ErrorKind::Protocol) if `kind` is not a response or the payload is invalid.
    pub fn decode(kind: FrameKind, payload: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(kind, payload);
        let response = match kind {
            FrameKind::Embedding | FrameKind::EmbeddingWithThumbnail => {
                let model = ModelFingerprint::from_bytes(fields.bytes()?);
                let mut vector = Box::new([0.0; DIMENSION]);
                for value in vector.iter_mut() {
                    *value = fields.f32()?;
                }
                let animated = fields.flag()?;
                let thumbnail = (kind == FrameKind::EmbeddingWithThumbnail).then(|| fields.rest());
                Self::Embedding { model, vector, animated, thumbnail }
            }
            FrameKind::Thumbnail => Self::Thumbnail(fields.rest()),
            FrameKind::Info => Self::Info(Box::new(take_info(&mut fields)?)),
            FrameKind::Error => {
                let (kind, message) = take_failure(&mut fields)?;
                Self::Error { kind, message }
            }
            FrameKind::Embedders => Self::Embedders(take_members(&mut fields)?),
            FrameKind::Goodbye => Self::Goodbye,
            _ => return Err(Inner::NotAResponse { kind: kind as u8 }.into()),
        };
        fields.end()?;
        Ok(response)
    }
}

fn put_info(frame: &mut Vec<u8>, info: &Info) {
    frame.extend_from_slice(&info.pid.to_le_bytes());
    frame.extend_from_slice(&info.threads.to_le_bytes());
    put_string(frame, cut(&info.version, MAX_STRING_BYTES));
    put_statistics(frame, &info.statistics);
    put_sandbox(frame, &info.sandbox);
    match &info.model {
        ModelState::Loading => frame.push(0),
        ModelState::Ready(model) => {
            frame.push(1);
            frame.extend_from_slice(model.fingerprint.as_bytes());
            frame.extend_from_slice(&model.weights_sha256);
            frame.extend_from_slice(&model.dimension.to_le_bytes());
            let notice = model.notice.as_deref().unwrap_or_default();
            for text in [&*model.name, &model.precision, &model.kernels, &model.preprocessing, notice] {
                put_string(frame, cut(text, MAX_STRING_BYTES));
            }
        }
        ModelState::Failed { kind, message } => {
            frame.push(2);
            put_failure(frame, *kind, message);
        }
    }
}

fn take_info(fields: &mut Fields<'_>) -> Result<Info, Error> {
    Ok(Info {
        pid: fields.u32()?,
        threads: fields.u32()?,
        version: fields.string()?,
        statistics: take_statistics(fields)?,
        sandbox: take_sandbox(fields)?,
        model: match fields.byte()? {
            0 => ModelState::Loading,
            1 => ModelState::Ready(Model {
                fingerprint: ModelFingerprint::from_bytes(fields.bytes()?),
                weights_sha256: fields.bytes()?,
                dimension: fields.u32()?,
                name: fields.string()?,
                precision: fields.string()?,
                kernels: fields.string()?,
                preprocessing: fields.string()?,
                notice: Some(fields.string()?).filter(|notice| !notice.is_empty()),
            }),
            2 => {
                let (kind, message) = take_failure(fields)?;
                ModelState::Failed { kind, message }
            }
            found => return Err(Inner::ModelStateCode { found }.into()),
        },
    })
}

fn put_sandbox(frame: &mut Vec<u8>, sandbox: &Sandbox) {
    frame.extend_from_slice(&[sandbox.landlock, u8::from(sandbox.seccomp), u8::from(sandbox.sealed)]);
    put_string(frame, cut(sandbox.gap.as_deref().unwrap_or_default(), MAX_STRING_BYTES));
}

fn take_sandbox(fields: &mut Fields<'_>) -> Result<Sandbox, Error> {
    Ok(Sandbox {
        landlock: fields.byte()?,
        seccomp: fields.flag()?,
        sealed: fields.flag()?,
        gap: Some(fields.string()?).filter(|gap| !gap.is_empty()),
    })
}

fn put_statistics(frame: &mut Vec<u8>, statistics: &Statistics) {
    let Statistics { images, image_passes, texts, text_passes, texts_remembered, .. } = *statistics;
    for count in [images, image_passes, texts, text_passes, texts_remembered] {
        frame.extend_from_slice(&count.to_le_bytes());
    }
    let Statistics { images_waiting, texts_waiting, image_microseconds, .. } = *statistics;
    for number in [images_waiting, texts_waiting, image_microseconds] {
        frame.extend_from_slice(&number.to_le_bytes());
    }
}

fn take_statistics(fields: &mut Fields<'_>) -> Result<Statistics, Error> {
    Ok(Statistics {
        images: fields.u64()?,
        image_passes: fields.u64()?,
        texts: fields.u64()?,
        text_passes: fields.u64()?,
        texts_remembered: fields.u64()?,
        images_waiting: fields.u32()?,
        texts_waiting: fields.u32()?,
        image_microseconds: fields.u32()?,
    })
}

/// The kind that only a client can detect has no number, and is sent as a violation of the protocol.
fn put_failure(frame: &mut Vec<u8>, kind: ErrorKind, message: &str) {
    let code = kind.code().or(ErrorKind::Protocol.code());
    frame.extend_from_slice(&code.unwrap_or_default().to_le_bytes());
    put_string(frame, cut(message, MAX_STRING_BYTES));
}

fn take_failure(fields: &mut Fields<'_>) -> Result<(ErrorKind, String), Error> {
    let code = fields.u16()?;
    let kind = ErrorKind::from_code(code).ok_or(Inner::ErrorCode { found: code })?;
    Ok((kind, fields.string()?))
}
