//! Taking inputs apart.

/// A secret that must never come out in a message; what does may come in pieces, so a part of it is looked for.
pub const SECRET: &str = "pina_CANARY0123456789";
const PART: &str = "CANARY";

/// Stands for the secret in corpora, where no text may look like one.
const MARK: &[u8] = b"@@";

/// The input with the secret in the place of each mark; `None` where the input has the looked-for part itself, of which
/// nobody can say where it belongs.
pub fn with_secret(input: &[u8]) -> Option<Vec<u8>> {
    if contains(input, PART.as_bytes()) {
        return None;
    }
    let mut bytes = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        bytes.extend_from_slice(&rest[..at]);
        bytes.extend_from_slice(SECRET.as_bytes());
        rest = &rest[at + MARK.len()..];
    }
    bytes.extend_from_slice(rest);
    Some(bytes)
}

/// Refuses a message that holds the secret, a part of it, or more than a message should.
pub fn assert_clean(shown: &str) {
    assert!(!shown.contains(PART), "a secret in a message: {shown}");
    assert_line(shown);
}

/// Refuses a message that is more than a line, or that could forge one.
pub fn assert_line(shown: &str) {
    assert!(shown.len() < 16_384, "a message of {} bytes", shown.len());
    assert!(!shown.contains(['\n', '\r', '\0', '\u{1b}']), "a message that could forge a line of a log: {shown:?}");
}

/// Refuses what no text column can hold.
pub fn assert_storable(text: &str) {
    assert!(!text.contains('\0'), "text with NUL, which no text column can hold: {text:?}");
}

/// As [`assert_storable`], where there is one.
pub fn assert_all_storable<'a>(texts: impl IntoIterator<Item = &'a Option<String>>) {
    texts.into_iter().flatten().for_each(|text| assert_storable(text));
}

/// Whether the bytes occur.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The first bytes as an array, and the rest; zeros where there are too few.
pub fn split<const COUNT: usize>(input: &[u8]) -> ([u8; COUNT], &[u8]) {
    match input.split_first_chunk() {
        Some((first, rest)) => (*first, rest),
        None => ([0; COUNT], &[]),
    }
}
