//! The frames between the database's processes and the embedder, parsed by both sides.

use embedder::protocol::{FrameKind, HEADER_BYTES, Header, Info, ModelState, Request, Response};

use crate::input::{assert_line, split};

/// A frame, header and payload, parsed as the server and as a client.
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
            // The payload of an invalid header is parsed as each kind.
            FrameKind::ALL.to_vec()
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
            let (header, bytes) = request.encode(7).expect("a parsed request cannot be sent");
            assert_eq!((header.kind, header.length as usize, &*bytes), (kind, payload.len(), payload));
        }
        Err(error) => assert_line(&error.to_string()),
    }
}

fn response(kind: FrameKind, payload: &[u8]) {
    match Response::decode(kind, payload) {
        Ok(response) => {
            assert!(!kind.is_request());
            match &response {
                Response::Error { message, .. } => assert_line(message),
                // Its texts are shown in views.
                Response::Info(info) => assert!(!info_texts(info).any(|text| text.contains(char::is_control))),
                _ => {}
            }
            // Too long strings are truncated once.
            let sent = response.encode(7);
            assert!(sent.len() - HEADER_BYTES <= kind.max_payload());
            let (header, bytes) = split::<HEADER_BYTES>(&sent);
            let header = Header::decode(&header).expect("a frame's own header cannot be parsed");
            assert_eq!(header.kind, kind);
            let again = Response::decode(kind, bytes).expect("an encoded frame cannot be parsed");
            assert!(again.encode(7) == sent, "a frame has changed");
        }
        Err(error) => assert_line(&error.to_string()),
    }
}

/// The texts in a server's information.
fn info_texts(info: &Info) -> impl Iterator<Item = &str> {
    let model: Vec<&str> = match &info.model {
        ModelState::Loading => Vec::new(),
        ModelState::Ready(model) => {
            let texts = [&model.name, &model.precision, &model.kernels, &model.preprocessing];
            texts.into_iter().map(String::as_str).chain(model.notice.as_deref()).collect()
        }
        ModelState::Failed { message, .. } => vec![message],
    };
    std::iter::once(info.version.as_str()).chain(info.sandbox.gap.as_deref()).chain(model)
}
