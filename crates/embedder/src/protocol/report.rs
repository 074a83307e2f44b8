use super::fields::{Fields, cut, put_string};
use super::{FrameKind, HEADER_BYTES, Header};
use crate::error::{Error, Inner};

/// Largest frame of a report, in bytes.
pub const MAX_REPORT_BYTES: usize = HEADER_BYTES + MAX_PAYLOAD;

pub(super) const MAX_PAYLOAD: usize = 6 * 8 + 4 + 1 + 2 * (2 + MAX_TEXT) + 1;

/// Longest name in a report, in bytes; a longer one is truncated.
const MAX_TEXT: usize = 256;

/// What a server has done since it started, and what waits now. With `--report` the server sends a report, as one frame per
/// message, to its parent process when something has changed, at most a few times per second, and when it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Images that the model has embedded.
    pub images: u64,
    /// Texts that the model has embedded.
    pub texts: u64,
    /// Forward passes.
    pub batches: u64,
    /// Microseconds between the arrival of an input and its forward pass, summed over the inputs.
    pub wait_microseconds: u64,
    /// Microseconds of forward passes.
    pub batch_microseconds: u64,
    /// Requests that were refused because the queue was full.
    pub busy: u64,
    /// Images and texts that wait.
    pub waiting: u32,
    /// The model, if it is loaded.
    pub model: Option<ReportedModel>,
}

/// A model in a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedModel {
    /// Its name.
    pub name: String,
    /// The precision in which it computes.
    pub precision: String,
    /// Whether its weights are random numbers.
    pub untrained: bool,
}

impl Report {
    /// Encodes the whole frame for sending.
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = vec![0; HEADER_BYTES];
        let Report { images, texts, batches, wait_microseconds, batch_microseconds, busy, waiting, model } = self;
        for number in [images, texts, batches, wait_microseconds, batch_microseconds, busy] {
            frame.extend_from_slice(&number.to_le_bytes());
        }
        frame.extend_from_slice(&waiting.to_le_bytes());
        frame.push(u8::from(model.is_some()));
        if let Some(ReportedModel { name, precision, untrained }) = model {
            put_string(&mut frame, cut(name, MAX_TEXT));
            put_string(&mut frame, cut(precision, MAX_TEXT));
            frame.push(u8::from(*untrained));
        }
        let length = (frame.len() - HEADER_BYTES) as u32;
        let header = Header { kind: FrameKind::Report, id: 0, length };
        frame[..HEADER_BYTES].copy_from_slice(&header.encode());
        frame
    }

    /// Decodes a message that contains one frame.
    ///
    /// # Errors
    ///
    /// [`Protocol`](crate::ErrorKind::Protocol) if it is not a report of this version.
    pub fn decode(message: &[u8]) -> Result<Self, Error> {
        let short =
            || Inner::PayloadLength { kind: FrameKind::Report as u8, found: message.len(), needed: HEADER_BYTES };
        let (header, payload) = message.split_first_chunk().ok_or_else(short)?;
        let kind = Header::decode(header)?.kind;
        if kind != FrameKind::Report {
            return Err(Inner::NotAResponse { kind: kind as u8 }.into());
        }
        let mut fields = Fields::new(kind, payload);
        let report = Report {
            images: fields.u64()?,
            texts: fields.u64()?,
            batches: fields.u64()?,
            wait_microseconds: fields.u64()?,
            batch_microseconds: fields.u64()?,
            busy: fields.u64()?,
            waiting: fields.u32()?,
            model: if fields.flag()? {
                let (name, precision) = (fields.string()?, fields.string()?);
                Some(ReportedModel { name, precision, untrained: fields.flag()? })
            } else {
                None
            },
        };
        fields.end()?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let model = ReportedModel { name: "a model".to_owned(), precision: "f32".to_owned(), untrained: true };
        Report {
            images: 1,
            texts: 2,
            batches: 3,
            wait_microseconds: 4,
            batch_microseconds: 5,
            busy: u64::MAX,
            waiting: 6,
            model: Some(model),
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for report in [report(), Report::default()] {
            let frame = report.encode();
            assert!(frame.len() <= MAX_REPORT_BYTES);
            assert_eq!(Report::decode(&frame).unwrap(), report);
        }
    }

    #[test]
    fn a_part_of_a_report_is_refused() {
        let frame = report().encode();
        for length in 0..frame.len() {
            assert!(Report::decode(&frame[..length]).is_err(), "{length}");
        }
        assert!(Report::decode(&[frame, vec![0]].concat()).is_err());
    }

    #[test]
    fn a_long_name_is_truncated() {
        let model = ReportedModel { name: "é".repeat(1000), precision: "x".repeat(1000), untrained: true };
        let long = Report { model: Some(model), ..Report::default() };
        let frame = long.encode();
        assert!(frame.len() <= MAX_REPORT_BYTES, "{}", frame.len());
        assert_eq!(Report::decode(&frame).unwrap().model.unwrap().name, "é".repeat(128));
    }
}
