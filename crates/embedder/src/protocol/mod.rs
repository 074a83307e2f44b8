//! Encodes and decodes the frames between client and server.
//!
//! A connection carries frames both ways. A client numbers its requests from 1 on and may send many before the first
//! answer. The server answers each once, in any order, with the request's number. There is no handshake: every frame
//! contains the version of this page. All integers are little-endian.
//!
//! | offset | bytes | header field |
//! |---|---|---|
//! | 0 | 4 | magic, `PEMB` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | kind |
//! | 6 | 2 | reserved, 0 |
//! | 8 | 8 | request number |
//! | 16 | 4 | payload length |
//!
//! | kind | frame | payload |
//! |---|---|---|
//! | 0x01 | request, image; of an animation its first frame | the encoded image, at most [`MAX_IMAGE_BYTES`] |
//! | 0x02 | request, text | UTF-8, at most [`MAX_TEXT_BYTES`] |
//! | 0x03 | request, info | empty |
//! | 0x04 | request, image; an animation is refused | as of 0x01 |
//! | 0x05 | request, image and thumbnail; of an animation its first frame | as of 0x01 |
//! | 0x06 | request, image and thumbnail; an animation is refused | as of 0x01 |
//! | 0x07 | request, thumbnail alone, of an animation of its first frame | the longest side in pixels (2), then as of 0x01 |
//! | 0x08 | request, embedders | empty |
//! | 0x81 | response, embedding | fingerprint (32), 512 numbers of 4 bytes (IEEE 754 binary32), 1 for the first frame of an animation, else 0 (1) |
//! | 0x82 | response, info | process id (4), threads (4), version (string), statistics (52), Landlock's version (1), seccomp (1), sealed (1), gap or nothing (string), model state (1); then for 1, ready: fingerprint (32), SHA-256 of the weights (32), dimension (4), name, precision, kernels, preprocessing, notice or nothing (strings); for 2, failed: error kind (2), message (string); for 0, loading: nothing |
//! | 0x83 | response, error | error kind (2), message (string) |
//! | 0x84 | response, goodbye | empty |
//! | 0x85 | response, embedding and thumbnail | as of 0x81, then a JPEG of at most [`MAX_THUMBNAIL_BYTES`], empty if none could be made |
//! | 0x86 | response, thumbnail | as the end of 0x85 |
//! | 0x87 | report to the parent process, on another socket | images, texts, forward passes, microseconds that inputs waited, microseconds of passes, refused requests (8 each), inputs that wait (4), 1 if the model is loaded, else 0 (1); then for 1: name, precision (strings) |
//! | 0x88 | response, embedders | number (2); of each: name, address, what is the matter or nothing, precision, kernels (strings), state (1), fingerprint (32), images, texts, failures (8 each), requests in flight, the most of them, microseconds of a round trip, microseconds of an image (4 each) |
//!
//! Servers up to version 0.0.1 do not know 0x05 to 0x08, and end a connection that sends one.
//!
//! Error kinds: 1 unsupported format, 2 animated, 3 malformed, 4 too large, 5 empty text, 6 text too long, 7 model missing,
//! 8 model invalid, 9 model unreadable, 10 inference, 11 busy, 12 protocol, 13 unsupported, 14 model untrusted, 15 too many
//! pixels, 16 side too long, 17 too much memory, 18 crashes, 19 unavailable; see [`ErrorKind`](crate::ErrorKind).
//!
//! Statistics are images, their passes, texts, their passes, texts remembered (8 each), images waiting, texts waiting,
//! microseconds an image (4 each); see [`Statistics`].
//!
//! A string is its length in bytes (2) and that many bytes of UTF-8. Control characters are read as spaces.
//!
//! Two responses have the number 0 and end the connection. An error with the number 0 reports how the client violated the
//! protocol. A goodbye means that the server ends in good order, and that requests without an answer will not get one and
//! have not harmed the server: all may be sent again. A connection that ends without a goodbye may have ended because of one
//! of the requests in flight.
//!
//! If a client closes its side, even only for writing, requests without an answer are dropped.

mod codec;
mod embedders;
mod fields;
mod header;
mod report;
mod request;
mod response;

pub use codec::{FrameDecoder, Part, Unreadable};
pub use embedders::{Member, MemberState};
pub use header::{FrameKind, HEADER_BYTES, Header, MAGIC, VERSION};
pub use report::{MAX_REPORT_BYTES, Report, ReportedModel};
pub use request::{Animations, MAX_IMAGE_BYTES, MAX_TEXT_BYTES, Request};
pub use response::{Info, MAX_THUMBNAIL_BYTES, Model, ModelState, Response, Sandbox, Statistics};

#[cfg(test)]
mod tests;
