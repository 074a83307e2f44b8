//! Reads frames from a stream of bytes.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

use super::{HEADER_BYTES, Header};
use crate::error::Error;

/// A part of a frame: first its header, so that the receiver can make room for the payload or skip it, then the payload.
#[derive(Debug)]
pub enum Part {
    /// The header of the next frame.
    Header(Header),
    /// The payload after that header; empty if it was skipped.
    Payload(Bytes),
}

/// Why no further frame can be read.
#[derive(Debug)]
pub enum Unreadable {
    /// The connection ended within a frame, or failed.
    Io(io::Error),
    /// What came is not a frame.
    Frame(Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Decodes a stream of frames into their [`Part`]s.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    next: Next,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Header,
    Payload(usize),
    Skipped(usize),
}

impl FrameDecoder {
    /// Discards the payload whose header was decoded last.
    pub fn skip_payload(&mut self) {
        if let Next::Payload(length) = self.next {
            self.next = Next::Skipped(length);
        }
    }
}

impl Decoder for FrameDecoder {
    type Item = Part;
    type Error = Unreadable;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Part>, Unreadable> {
        match self.next {
            Next::Header => {
                let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
                let header = Header::decode(header).map_err(Unreadable::Frame)?;
                bytes.advance(HEADER_BYTES);
                self.next = Next::Payload(header.length as usize);
                Ok(Some(Part::Header(header)))
            }
            Next::Payload(length) if bytes.len() < length => {
                bytes.reserve(length - bytes.len());
                Ok(None)
            }
            Next::Payload(length) => {
                self.next = Next::Header;
                Ok(Some(Part::Payload(bytes.split_to(length).freeze())))
            }
            Next::Skipped(length) => {
                let here = length.min(bytes.len());
                bytes.advance(here);
                self.next = if here == length { Next::Header } else { Next::Skipped(length - here) };
                Ok((here == length).then(|| Part::Payload(Bytes::new())))
            }
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Part>, Unreadable> {
        match self.decode(bytes)? {
            None if self.next != Next::Header || !bytes.is_empty() => {
                Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
            }
            part => Ok(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use proptest::prelude::*;
    use tokio_util::codec::FramedRead;

    use super::*;
    use crate::ErrorKind;
    use crate::protocol::Request;

    fn frame(id: u64, text: &str) -> Vec<u8> {
        let (header, payload) = Request::Text(text.to_owned()).encode(id).unwrap();
        [header.encode().as_slice(), &payload].concat()
    }

    /// Decodes what comes in pieces of these sizes; skips the payloads of these frames.
    fn parts(bytes: &[u8], pieces: &[usize], skip: impl Fn(u64) -> bool) -> Result<Vec<(u64, Bytes)>, Unreadable> {
        let (mut decoder, mut buffer) = (FrameDecoder::default(), BytesMut::new());
        let (mut frames, mut header) = (Vec::new(), None);
        let mut take = |decoder: &mut FrameDecoder, part: Part| match part {
            Part::Header(found) => {
                header = Some(found.id);
                if skip(found.id) {
                    decoder.skip_payload();
                }
            }
            Part::Payload(payload) => frames.push((header.take().unwrap(), payload)),
        };
        let mut rest = bytes;
        for size in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            while let Some(part) = decoder.decode(&mut buffer)? {
                take(&mut decoder, part);
            }
        }
        while let Some(part) = decoder.decode_eof(&mut buffer)? {
            take(&mut decoder, part);
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_are_read_in_pieces_of_any_size(
            texts in prop::collection::vec("[a-z]{0,40}", 0..8), pieces in prop::collection::vec(1..60_usize, 1..20), skipped: u8,
        ) {
            let numbered = || (1_u64..).zip(&texts);
            let skip = |id: u64| skipped >> (id - 1) & 1 == 1;
            let bytes: Vec<u8> = numbered().flat_map(|(id, text)| frame(id, text)).collect();
            let expected: Vec<_> = numbered()
                .map(|(id, text)| (id, if skip(id) { Bytes::new() } else { Bytes::copy_from_slice(text.as_bytes()) }))
                .collect();
            prop_assert_eq!(parts(&bytes, &pieces, skip).unwrap(), expected);
        }

        #[test]
        fn an_end_within_a_frame_is_an_error(text in "[a-z]{1,40}", at in 1..20_usize, skip: bool) {
            let bytes = frame(7, &text);
            let end = at.min(bytes.len() - 1);
            for end in [end, bytes.len() - 1] {
                let error = parts(&bytes[..end], &[3], |_| skip).unwrap_err();
                prop_assert!(matches!(&error, Unreadable::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof));
            }
        }
    }

    #[tokio::test]
    async fn other_bytes_are_refused() {
        let mut frames = FramedRead::new(&b"GET / HTTP/1.1\r\nHost: x\r\n"[..], FrameDecoder::default());
        let Some(Err(Unreadable::Frame(error))) = frames.next().await else { panic!("expected an error") };
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}
