//! Pinterest's own OpenAPI document as JSON Schema, where it lies beside the checkout.

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

pub struct OpenApi {
    document: Value,
}

impl OpenApi {
    /// `None` where the document is not there: the tests that need it say so and pass.
    pub fn load() -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/pinterest-openapi.yaml");
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: there is no {}", path.display());
            return None;
        };
        // The limits of the parser are meant for strangers' files.
        let options = serde_saphyr::options! { budget: None };
        let mut document = serde_saphyr::from_str_with_options(&text, options).expect("YAML");
        allow_null(&mut document);
        Some(Self { document })
    }

    /// Checks an answer against what the document says of this method, path and status.
    pub fn check(&self, method: &str, path: &str, status: u16, answer: &Value) {
        let responses = &self.document["paths"][path][method]["responses"];
        let status = status.to_string();
        let response = responses.get(&status).unwrap_or(&responses["default"]);
        let schema = &response["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "the document has no {method} {path} {status}");
        self.check_schema(&format!("{method} {path} {status}"), schema, answer);
    }

    /// Checks against a schema by name.
    pub fn check_named(&self, name: &str, answer: &Value) {
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.check_schema(name, &reference, answer);
    }

    fn check_schema(&self, what: &str, schema: &Value, answer: &Value) {
        let mismatches: Vec<String> = self
            .validator(schema)
            .iter_errors(answer)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(mismatches.is_empty(), "{what}: {mismatches:#?}\n{answer:#}");
    }

    pub fn accepts(&self, name: &str, answer: &Value) -> bool {
        self.validator(&json!({ "$ref": format!("#/components/schemas/{name}") })).is_valid(answer)
    }

    fn validator(&self, schema: &Value) -> Validator {
        let root = json!({ "allOf": [schema], "components": self.document["components"] });
        jsonschema::validator_for(&root).expect("a schema")
    }
}

/// OpenAPI 3.0 says `nullable`, JSON Schema says so in the type. Discriminators need nothing: each variant names its
/// own `media_type`.
fn allow_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(allow_null),
        Value::Object(fields) => {
            fields.values_mut().for_each(allow_null);
            if fields.get("nullable") == Some(&json!(true)) {
                fields.remove("nullable");
                let schema = value.take();
                *value = json!({ "anyOf": [schema, { "type": "null" }] });
            }
        }
        _ => {}
    }
}
