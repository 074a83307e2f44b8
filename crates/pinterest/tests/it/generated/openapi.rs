//! A full answer for each schema of an OpenAPI document.

use std::path::Path;

use serde_json::{Map, Value, json};

/// An OpenAPI document.
pub struct OpenApi {
    document: Value,
}

/// Schemas that hold each other end here.
const DEEPEST: usize = 24;

impl OpenApi {
    /// `None` where the document is not there: the test that needs it says so and passes.
    pub fn load() -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/pinterest-openapi.yaml");
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: there is no {}", path.display());
            return None;
        };
        // The limits of the parser are meant for strangers' files.
        let options = serde_saphyr::options! { budget: None };
        Some(Self { document: serde_saphyr::from_str_with_options(&text, options).expect("YAML") })
    }

    /// A success with every member that is described. Of alternatives the one of this number, round and round.
    pub fn answer(&self, method: &str, path: &str, choice: usize) -> Value {
        let schema = &self.document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "the document has no {method} {path} 200");
        self.value("", schema, choice, true, 0)
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        let found = self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        self.resolved(found)
    }

    /// A value of the schema. `whole`: alternatives by discriminator are followed, which a schema that is part of one of
    /// them must not do again.
    fn value(&self, name: &str, schema: &Value, choice: usize, whole: bool, depth: usize) -> Value {
        let schema = self.resolved(schema);
        if depth > DEEPEST {
            return Value::Null;
        }
        let deeper = depth + 1;
        if whole && let Some(mapping) = schema["discriminator"]["mapping"].as_object() {
            let (word, target) = mapping.iter().nth(choice % mapping.len()).expect("a variant");
            let mut value = self.value(name, &json!({ "$ref": target }), choice, false, deeper);
            value[schema["discriminator"]["propertyName"].as_str().expect("a name")] = json!(word);
            return value;
        }
        if let Some(parts) = schema["allOf"].as_array() {
            // A part may be the base of the alternatives, which names them all.
            let parts = parts.iter().map(|part| self.value(name, part, choice, whole && parts.len() == 1, deeper));
            return self.with_members(schema, parts.reduce(merged).unwrap_or_default(), choice, deeper);
        }
        for alternatives in ["oneOf", "anyOf"] {
            if let Some(parts) = schema[alternatives].as_array()
                && !parts.is_empty()
            {
                return self.value(name, &parts[choice % parts.len()], choice, whole, deeper);
            }
        }
        if let Some(words) = schema["enum"].as_array() {
            return words[choice % words.len()].clone();
        }
        // Some lists are described without their type.
        let kind = schema["type"].as_str().or(schema["items"].is_object().then_some("array"));
        match kind {
            Some("string") => json!(text(name, schema)),
            Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(0).max(12)),
            Some("number") => json!(1.25),
            Some("boolean") => json!(true),
            Some("array") => {
                let element = |choice| self.value(name, &schema["items"], choice, true, deeper);
                // Items of both kinds in a mixed list.
                if name == "items" && depth < 4 {
                    json!([element(choice)])
                } else {
                    json!([element(choice), element(choice + 1)])
                }
            }
            _ => self.with_members(schema, json!({}), choice, deeper),
        }
    }

    /// Adds the members that the schema itself describes.
    fn with_members(&self, schema: &Value, mut value: Value, choice: usize, depth: usize) -> Value {
        let Some(described) = schema["properties"].as_object() else {
            let other = &schema["additionalProperties"];
            if other.is_object() && value.as_object().is_some_and(Map::is_empty) {
                value["some_name"] = self.value("some_name", other, choice, true, depth);
            }
            return value;
        };
        for (name, property) in described {
            let member = self.value(name, property, choice, true, depth);
            let object = value.as_object_mut().expect("an object has properties");
            let before = object.remove(name).unwrap_or_default();
            object.insert(name.clone(), merged(before, member));
        }
        value
    }
}

/// Both together; where they disagree, what says more and comes later.
fn merged(left: Value, right: Value) -> Value {
    match (left, right) {
        (Value::Object(mut left), Value::Object(right)) => {
            for (name, member) in right {
                let before = left.remove(&name).unwrap_or_default();
                left.insert(name, merged(before, member));
            }
            Value::Object(left)
        }
        (left, Value::Null) => left,
        (Value::Array(left), Value::Array(right)) if right.iter().all(Value::is_null) => Value::Array(left),
        (_, right) => right,
    }
}

fn text(name: &str, schema: &Value) -> String {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    if pattern.contains(r"\d") || name == "id" || name.ends_with("_id") {
        return "813744226420795884".to_owned();
    }
    if schema["format"].as_str().is_some_and(|format| format.starts_with("date")) || name.ends_with("_at") {
        return "2024-03-17T18:04:09".to_owned();
    }
    if name.ends_with("url") || name == "link" {
        return format!("https://i.pinimg.com/600x/0d/f6/f1/0df6f1f0bfe7aaca849c1bbc3607a34b.jpg?{name}");
    }
    match name {
        "token_type" => "bearer".to_owned(),
        "scope" => "boards:read,pins:read".to_owned(),
        name => format!("some-{name}"),
    }
}
