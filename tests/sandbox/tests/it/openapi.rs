//! Pinterest's OpenAPI document as JSON Schema.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::document;

pub struct OpenApi {
    document: Value,
}

impl OpenApi {
    /// `None` if the document does not exist.
    pub fn load() -> Option<Self> {
        let mut document = document::load()?;
        allow_null(&mut document);
        Some(Self { document })
    }

    /// Checks an answer against the document's schema for this method, path and status.
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

/// Converts OpenAPI's `nullable` to JSON Schema. Discriminators need no conversion: each variant has its own
/// `media_type`.
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
