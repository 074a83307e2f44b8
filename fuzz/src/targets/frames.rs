//! The frames between the database's processes and the embedder, as either side reads them.

use embedder::protocol::{FrameKind, HEADER_BYTES, Header, Request, Response};

use crate::input::{assert_line, split};

/// A frame: its header and what follows, read by the server and by a client.
pub fn frames(input: &[u8]) {
    let (header, payload) = split::<HEADER_BYTES>(input);
    let kinds = match Header::decode(&header) {
        Ok(decoded) => {
            assert!(decoded.length as usize <= decoded.kind.max_payload());
            assert_eq!(decoded.encode(), header);
            vec![decoded.kind]
        }
        Err(error) => {
            assert_line(&error.to_string());
            // What the header keeps out is read as each kind all the same.
            vec![
                FrameKind::Image,
                FrameKind::Text,
                FrameKind::AskInfo,
                FrameKind::Embedding,
                FrameKind::Info,
                FrameKind::Error,
                FrameKind::Goodbye,
            ]
        }
    };
    for kind in kinds {
        request(kind, payload);
        response(kind, payload);
    }
}

fn request(kind: FrameKind, payload: &[u8]) {
    match Request::decode(kind, payload.to_vec().into()) {
        Ok(request) => {
            assert!(kind.is_request());
            let shown = format!("{request:?}");
            assert!(shown.len() < 64, "{shown}");
            let (header, bytes) = request.encode(7).expect("a request that was read cannot be sent");
            assert_eq!((header.kind, header.length as usize, &*bytes), (kind, payload.len(), payload));
        }
        Err(error) => assert_line(&error.to_string()),
    }
}

fn response(kind: FrameKind, payload: &[u8]) {
    match Response::decode(kind, payload) {
        Ok(response) => {
            assert!(!kind.is_request());
            if let Response::Error { message, .. } = &response {
                assert_line(message);
            }
            // Longer strings than are sent are cut once, and not again.
            let sent = response.encode(7);
            assert!(sent.len() - HEADER_BYTES <= kind.max_payload());
            let (header, bytes) = split::<HEADER_BYTES>(&sent);
            let header = Header::decode(&header).expect("a frame's own header cannot be read");
            assert_eq!(header.kind, kind);
            let again = Response::decode(kind, bytes).expect("a frame that was sent cannot be read");
            assert!(again.encode(7) == sent, "a frame is not what it was");
        }
        Err(error) => assert_line(&error.to_string()),
    }
}
