//! Pinterest's OpenAPI document, which is not part of the checkout.

use std::path::Path;

use serde_json::Value;

/// The document, if it exists beside the checkout; otherwise `None`, with a message that the test is skipped.
pub fn load() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/pinterest-openapi.yaml");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} does not exist", path.display());
        return None;
    };
    // The document exceeds the parser's default limits, which are for untrusted files.
    let options = serde_saphyr::options! { budget: None };
    Some(serde_saphyr::from_str_with_options(&text, options).expect("YAML"))
}
