//! Parsing of inputs, and assertions on messages.

/// A secret that must never be part of a message. A message may contain it in pieces, so [`PART`] is searched for.
pub const SECRET: &str = "pina_CANARY0123456789";
const PART: &str = "CANARY";

/// Placeholder of the secret in corpora, where no text may look like a secret.
const MARK: &[u8] = b"@@";

/// The input with each mark replaced by the secret; `None` if the input contains [`PART`] itself.
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

/// Panics if a message contains a part of the secret, or is not a line.
pub fn assert_clean(shown: &str) {
    assert!(!shown.contains(PART), "a secret in a message: {shown}");
    assert_line(shown);
}

/// Panics if a message is too long or could forge a line of a log.
pub fn assert_line(shown: &str) {
    assert!(shown.len() < 16_384, "a message of {} bytes", shown.len());
    assert!(!shown.contains(['\n', '\r', '\0', '\u{1b}']), "a message that could forge a line of a log: {shown:?}");
}

/// Panics if a text cannot be stored in a text column.
pub fn assert_storable(text: &str) {
    assert!(!text.contains('\0'), "text with NUL: {text:?}");
}

/// [`assert_storable`] for each text.
pub fn assert_all_storable<'a>(texts: impl IntoIterator<Item = &'a Option<String>>) {
    texts.into_iter().flatten().for_each(|text| assert_storable(text));
}

/// Whether `bytes` contains `part`.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The first bytes as an array, and the rest; zeros if there are too few.
pub fn split<const COUNT: usize>(input: &[u8]) -> ([u8; COUNT], &[u8]) {
    match input.split_first_chunk() {
        Some((first, rest)) => (*first, rest),
        None => ([0; COUNT], &[]),
    }
}
