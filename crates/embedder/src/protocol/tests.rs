use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{DIMENSION, ErrorKind, ModelFingerprint};

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (vec(any::<u8>(), 0..4096), prop_oneof![Just(Animations::FirstFrame), Just(Animations::Refuse)])
            .prop_map(|(image, animations)| Request::Image(image.into(), animations)),
        (vec(any::<u8>(), 0..4096), prop_oneof![Just(Animations::FirstFrame), Just(Animations::Refuse)])
            .prop_map(|(image, animations)| Request::ImageWithThumbnail(image.into(), animations)),
        (vec(any::<u8>(), 0..4096), any::<u16>()).prop_map(|(image, side)| Request::Thumbnail(image.into(), side)),
        any::<String>().prop_map(Request::Text),
        Just(Request::Info),
        Just(Request::Embedders),
    ]
}

fn error_kind() -> impl Strategy<Value = ErrorKind> {
    (1u16..=19).prop_map(|code| ErrorKind::from_code(code).unwrap())
}

fn model_state() -> impl Strategy<Value = ModelState> {
    prop_oneof![
        Just(ModelState::Loading),
        (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<u32>(), any::<[String; 4]>(), prop::option::of("\\PC+")).prop_map(
            |(fingerprint, weights_sha256, dimension, [name, precision, kernels, preprocessing], notice)| {
                ModelState::Ready(Model {
                    fingerprint: ModelFingerprint::from_bytes(fingerprint),
                    weights_sha256,
                    dimension,
                    name,
                    precision,
                    kernels,
                    preprocessing,
                    notice,
                })
            }
        ),
        (error_kind(), any::<String>()).prop_map(|(kind, message)| ModelState::Failed { kind, message }),
    ]
}

fn statistics() -> impl Strategy<Value = Statistics> {
    (any::<[u64; 5]>(), any::<[u32; 3]>()).prop_map(|(counts, numbers)| {
        let [images, image_passes, texts, text_passes, texts_remembered] = counts;
        let [images_waiting, texts_waiting, image_microseconds] = numbers;
        Statistics {
            images,
            image_passes,
            texts,
            text_passes,
            texts_remembered,
            images_waiting,
            texts_waiting,
            image_microseconds,
        }
    })
}

fn sandbox() -> impl Strategy<Value = Sandbox> {
    (any::<u8>(), any::<[bool; 2]>(), prop::option::of("\\PC+"))
        .prop_map(|(landlock, [seccomp, sealed], gap)| Sandbox { landlock, seccomp, sealed, gap })
}

fn member() -> impl Strategy<Value = Member> {
    let states = [MemberState::Ready, MemberState::OtherModel, MemberState::Failed, MemberState::Unreachable];
    (
        any::<[String; 4]>(),
        prop::option::of("\\PC+"),
        prop::sample::select(states.to_vec()),
        1..u8::MAX,
        any::<[u64; 3]>(),
        any::<[u32; 4]>(),
    )
        .prop_map(|([name, address, precision, kernels], problem, state, fingerprint, counts, numbers)| Member {
            name,
            address,
            state,
            problem,
            fingerprint: Some(ModelFingerprint::from_bytes([fingerprint; 32])),
            precision,
            kernels,
            images: counts[0],
            texts: counts[1],
            failures: counts[2],
            in_flight: numbers[0],
            window: numbers[1],
            round_trip_microseconds: numbers[2],
            image_microseconds: numbers[3],
        })
}

fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        (any::<[u8; 32]>(), vec(any::<f32>(), DIMENSION), any::<bool>(), prop::option::of(vec(any::<u8>(), 0..999)))
            .prop_map(|(model, vector, animated, thumbnail)| {
                Response::Embedding {
                    model: ModelFingerprint::from_bytes(model),
                    vector: Box::new(vector.try_into().unwrap()),
                    animated,
                    thumbnail: thumbnail.map(Bytes::from),
                }
            }),
        vec(any::<u8>(), 0..999).prop_map(|thumbnail| Response::Thumbnail(thumbnail.into())),
        (any::<[u32; 2]>(), any::<String>(), statistics(), sandbox(), model_state()).prop_map(
            |([pid, threads], version, statistics, sandbox, model)| {
                Response::Info(Box::new(Info { pid, threads, version, statistics, sandbox, model }))
            }
        ),
        (error_kind(), any::<String>()).prop_map(|(kind, message)| Response::Error { kind, message }),
        vec(member(), 0..4).prop_map(Response::Embedders),
        Just(Response::Goodbye),
    ]
}

/// Header bytes whose single fields are likely right, so that the later checks are reached.
fn header_bytes() -> impl Strategy<Value = [u8; HEADER_BYTES]> {
    (
        prop_oneof![9 => Just(MAGIC), 1 => any::<[u8; 4]>()],
        prop_oneof![9 => Just(VERSION), 1 => any::<u8>()],
        prop_oneof![0x01..=0x08u8, 0x80..=0x88u8, any::<u8>()],
        prop_oneof![9 => Just(0u16), 1 => any::<u16>()],
        any::<u64>(),
        prop_oneof![0..10_000u32, any::<u32>()],
    )
        .prop_map(|(magic, version, kind, reserved, id, length)| {
            let mut bytes = [0; HEADER_BYTES];
            bytes[..4].copy_from_slice(&magic);
            bytes[4] = version;
            bytes[5] = kind;
            bytes[6..8].copy_from_slice(&reserved.to_le_bytes());
            bytes[8..16].copy_from_slice(&id.to_le_bytes());
            bytes[16..].copy_from_slice(&length.to_le_bytes());
            bytes
        })
}

fn decode_response(frame: &[u8]) -> (Header, Response) {
    let (header, payload) = frame.split_first_chunk().unwrap();
    let header = Header::decode(header).unwrap();
    assert_eq!(header.length as usize, payload.len());
    (header, Response::decode(header.kind, payload).unwrap())
}

proptest! {
    #[test]
    fn requests_round_trip(request in request(), id: u64) {
        let (header, payload) = request.clone().encode(id).unwrap();
        prop_assert_eq!(Header::decode(&header.encode()).unwrap(), header);
        prop_assert_eq!(header.id, id);
        prop_assert_eq!(header.length as usize, payload.len());
        prop_assert_eq!(Request::decode(header.kind, payload).unwrap(), request);
    }

    #[test]
    fn responses_round_trip(response in response(), id: u64) {
        let frame = response.encode(id);
        let (header, decoded) = decode_response(&frame);
        prop_assert_eq!(header.id, id);
        // Compared as bytes, since an embedding may hold NaN.
        prop_assert_eq!(decoded.encode(id), frame);
        if let Response::Info(_) = response {
            prop_assert_eq!(decoded, response);
        }
    }

    #[test]
    fn an_accepted_header_is_written_back_the_same(bytes in header_bytes()) {
        match Header::decode(&bytes) {
            Ok(header) => {
                prop_assert_eq!(header.encode(), bytes);
                prop_assert!(header.length as usize <= header.kind.max_payload());
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Protocol),
        }
    }

    #[test]
    fn arbitrary_payloads_are_read_or_refused(bytes in header_bytes(), payload in vec(any::<u8>(), 0..3000)) {
        if let Ok(Header { kind, .. }) = Header::decode(&bytes) {
            let payload = Bytes::from(payload);
            if let Err(error) = Request::decode(kind, payload.clone()) {
                prop_assert_eq!(error.kind(), ErrorKind::Protocol);
            }
            if let Err(error) = Response::decode(kind, &payload) {
                prop_assert_eq!(error.kind(), ErrorKind::Protocol);
            }
        }
    }

    #[test]
    fn a_damaged_response_is_read_or_refused(response in response(), position: prop::sample::Index, byte: u8, cut: bool) {
        let mut frame = response.encode(1);
        let position = position.index(frame.len());
        frame[position] = byte;
        if cut {
            frame.truncate(position);
        }
        if let Some((header, payload)) = frame.split_first_chunk()
            && let Ok(header) = Header::decode(header)
            && let Err(error) = Response::decode(header.kind, payload)
        {
            prop_assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }
}

#[test]
fn a_sandbox_is_described_in_words() {
    let mut sandbox = Sandbox { landlock: 7, seccomp: true, sealed: true, gap: None };
    assert_eq!(sandbox.to_string(), "Landlock (ABI 7) and seccomp, sealed");
    sandbox.gap = Some("no Landlock: none here".to_owned());
    sandbox.landlock = 0;
    assert_eq!(sandbox.to_string(), "seccomp, sealed; no Landlock: none here");
    assert_eq!(Sandbox::default().to_string(), "none");
}

#[test]
fn layout_is_the_documented_one() {
    let (header, payload) = Request::Text("hi".to_owned()).encode(0x0102).unwrap();
    assert_eq!(header.encode(), *b"PEMB\x01\x02\0\0\x02\x01\0\0\0\0\0\0\x02\0\0\0");
    assert_eq!(payload, "hi");

    for (animations, kind) in [(Animations::FirstFrame, 0x01), (Animations::Refuse, 0x04)] {
        let (header, payload) = Request::Image(Bytes::from_static(b"GIF"), animations).encode(1).unwrap();
        assert_eq!(header.encode()[5], kind);
        assert_eq!(payload, "GIF");
    }
    for (animations, kind) in [(Animations::FirstFrame, 0x05), (Animations::Refuse, 0x06)] {
        let (header, payload) = Request::ImageWithThumbnail(Bytes::from_static(b"GIF"), animations).encode(1).unwrap();
        assert_eq!((header.encode()[5], &payload[..]), (kind, &b"GIF"[..]));
    }
    let (header, payload) = Request::Thumbnail(Bytes::from_static(b"GIF"), 400).encode(1).unwrap();
    assert_eq!((header.encode()[5], &payload[..]), (0x07, &b"\x90\x01GIF"[..]));
    for animated in [false, true] {
        let model = ModelFingerprint::from_bytes([1; 32]);
        let response =
            |thumbnail| Response::Embedding { model, vector: Box::new([1.0; DIMENSION]), animated, thumbnail };
        let frame = response(None).encode(1);
        assert_eq!((frame[5], frame.len()), (0x81, HEADER_BYTES + 32 + 4 * 512 + 1));
        assert_eq!(frame.last(), Some(&u8::from(animated)));
        let more = response(Some(Bytes::from_static(b"JPEG"))).encode(1);
        assert_eq!((more[5], &more[frame.len()..]), (0x85, &b"JPEG"[..]));
        assert_eq!(more[HEADER_BYTES..frame.len()], frame[HEADER_BYTES..]);
        assert_eq!(response(Some(Bytes::new())).encode(1)[5], 0x85, "none could be made");
    }
    assert_eq!(Response::Thumbnail(Bytes::from_static(b"JPEG")).encode(7)[5], 0x86);

    let error = Response::Error { kind: ErrorKind::Busy, message: "no".to_owned() };
    assert_eq!(error.encode(7), *b"PEMB\x01\x83\0\0\x07\0\0\0\0\0\0\0\x06\0\0\0\x0b\0\x02\0no");
}

#[test]
fn a_larger_payload_is_refused_by_its_header() {
    let header = Header { kind: FrameKind::Image, id: 1, length: MAX_IMAGE_BYTES as u32 + 1 };
    let message = Header::decode(&header.encode()).unwrap_err().to_string();
    assert!(message.contains("268435457") && message.contains("268435456"), "{message}");

    let image = Request::Image(vec![0; MAX_IMAGE_BYTES + 1].into(), Animations::FirstFrame);
    assert_eq!(image.encode(1).unwrap_err().kind(), ErrorKind::TooLarge);
    let text = Request::Text("x".repeat(MAX_TEXT_BYTES + 1));
    assert_eq!(text.encode(1).unwrap_err().kind(), ErrorKind::TextTooLong);
}

#[test]
fn another_version_is_reported() {
    let mut bytes = Request::Info.encode(1).unwrap().0.encode();
    bytes[4] = 2;
    let message = Header::decode(&bytes).unwrap_err().to_string();
    assert!(message.contains("version 2, expected 1"), "{message}");
}

#[test]
fn a_message_is_one_line() {
    let response = Response::Error { kind: ErrorKind::Inference, message: "a\nLOG: b\u{1b}".to_owned() };
    let (_, decoded) = decode_response(&response.encode(1));
    assert_eq!(decoded, Response::Error { kind: ErrorKind::Inference, message: "a LOG: b ".to_owned() });
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let response = Response::Error { kind: ErrorKind::Inference, message: "é".repeat(2000) };
    let (_, decoded) = decode_response(&response.encode(1));
    let Response::Error { message, .. } = decoded else { panic!("{decoded:?}") };
    assert_eq!(message, "é".repeat(512));
}
