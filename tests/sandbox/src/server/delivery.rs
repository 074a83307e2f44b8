//! How a body is sent: whole, or with a failure of a network or server.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};

use super::connection::Reset;

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// How a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Delivery {
    #[default]
    Whole,
    Slow {
        bytes_per_second: u32,
    },
    Endless,
    /// `Content-Length` is this much larger than the body.
    WrongLength {
        difference: i64,
    },
    ResetHalfway,
}

/// Time between two parts of a slow body.
const PART_INTERVAL: Duration = Duration::from_millis(100);
/// Time between the head of an answer and a reset, which could overtake it.
const HEAD_START: Duration = Duration::from_millis(100);
const FILLER: [u8; 16 << 10] = [b' '; 16 << 10];

/// The body, and the `Content-Length` to declare unless the body is chunked.
pub(super) fn body(bytes: Bytes, delivery: Delivery, reset: Reset) -> (Body, Option<u64>) {
    let length = bytes.len() as u64;
    match delivery {
        Delivery::Whole => (Full::new(bytes).map_err(|never| match never {}).boxed(), Some(length)),
        Delivery::Slow { bytes_per_second } => (slow(bytes, bytes_per_second), Some(length)),
        Delivery::Endless => (endless(bytes), None),
        Delivery::WrongLength { difference } => {
            let declared = length.saturating_add_signed(difference);
            (cut(bytes, None), Some(declared))
        }
        Delivery::ResetHalfway => {
            let half = bytes.slice(..bytes.len() / 2);
            (cut(half, Some(reset)), Some(length))
        }
    }
}

fn slow(mut bytes: Bytes, bytes_per_second: u32) -> Body {
    let per_part = u64::from(bytes_per_second) * PART_INTERVAL.as_millis() as u64 / 1000;
    let (size, pause) = if per_part == 0 {
        (1, Duration::from_secs(1) / bytes_per_second.max(1))
    } else {
        (per_part as usize, PART_INTERVAL)
    };
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        while !bytes.is_empty() {
            let part = bytes.split_to(size.min(bytes.len()));
            if sender.send_data(part).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    body.boxed()
}

/// The body without its last byte, then filler until the client closes the connection.
fn endless(bytes: Bytes) -> Body {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let mut next = bytes.slice(..bytes.len().saturating_sub(1));
        while sender.send_data(next).await.is_ok() {
            next = Bytes::from_static(&FILLER);
        }
    });
    body.boxed()
}

/// A body that ends too early.
fn cut(bytes: Bytes, reset: Option<Reset>) -> Body {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        if sender.send_data(bytes).await.is_err() {
            return;
        }
        tokio::time::sleep(HEAD_START).await;
        if let Some(reset) = reset {
            reset.demand();
            sender.abort(io::ErrorKind::ConnectionReset.into());
        }
    });
    body.boxed()
}
