//! Writes and reads the fields of a payload in order.

use bytes::Bytes;

use super::FrameKind;
use crate::error::{Error, Inner};

pub(super) fn put_string(payload: &mut Vec<u8>, text: &str) {
    let text = cut(text, usize::from(u16::MAX));
    payload.extend_from_slice(&(text.len() as u16).to_le_bytes());
    payload.extend_from_slice(text.as_bytes());
}

/// The longest beginning of `text` that is at most `limit` bytes and ends between two characters.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

pub(super) struct Fields<'a> {
    kind: FrameKind,
    payload: &'a [u8],
    position: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(kind: FrameKind, payload: &'a [u8]) -> Self {
        Self { kind, payload, position: 0 }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut field = [0; N];
        field.copy_from_slice(self.slice(N)?);
        Ok(field)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        self.bytes().map(u8::from_le_bytes)
    }

    /// A byte that is 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(Inner::Flag { kind: self.kind as u8, found }.into()),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.bytes().map(u64::from_le_bytes)
    }

    pub(super) fn f32(&mut self) -> Result<f32, Error> {
        self.bytes().map(f32::from_le_bytes)
    }

    pub(super) fn string(&mut self) -> Result<String, Error> {
        let length = usize::from(self.u16()?);
        let kind = self.kind as u8;
        let text = std::str::from_utf8(self.slice(length)?).map_err(|_| Inner::NotUtf8 { kind })?;
        // The string goes into logs and views, where a line break would begin another line.
        Ok(text.replace(char::is_control, " "))
    }

    /// All bytes that are left.
    pub(super) fn rest(&mut self) -> Bytes {
        let rest = Bytes::copy_from_slice(&self.payload[self.position..]);
        self.position = self.payload.len();
        rest
    }

    /// Refuses a payload longer than its fields.
    pub(super) fn end(self) -> Result<(), Error> {
        if self.position == self.payload.len() {
            return Ok(());
        }
        Err(self.wrong_length(self.position))
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let end = self.position + length;
        let field = self.payload.get(self.position..end).ok_or_else(|| self.wrong_length(end))?;
        self.position = end;
        Ok(field)
    }

    fn wrong_length(&self, needed: usize) -> Error {
        Inner::PayloadLength { kind: self.kind as u8, found: self.payload.len(), needed }.into()
    }
}
