//! Complete answers for the schemas of an OpenAPI document.

use serde_json::{Map, Value, json};

#[path = "../../../../../tests/sandbox/tests/it/document.rs"]
mod document;

/// An OpenAPI document.
pub struct OpenApi {
    document: Value,
}

/// Depth limit of recursive schemas.
const DEEPEST: usize = 24;

impl OpenApi {
    /// `None` if the document does not exist.
    pub fn load() -> Option<Self> {
        document::load().map(|document| Self { document })
    }

    /// A successful answer with all members. `choice` selects alternatives, modulo their number.
    pub fn answer(&self, method: &str, path: &str, choice: usize) -> Value {
        let schema = &self.document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "the document has no {method} {path} 200");
        self.value("", schema, choice, true, 0)
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        let found = self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} does not exist"));
        self.resolved(found)
    }

    /// A value of the schema. With `whole`, alternatives by discriminator are followed; a schema that is part of one of
    /// them must not do so again.
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
            // A part may be the base of the alternatives, which refers to them all.
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
        // Some lists have no type in the document.
        let kind = schema["type"].as_str().or(schema["items"].is_object().then_some("array"));
        match kind {
            Some("string") => json!(text(name, schema)),
            Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(0).max(12)),
            Some("number") => json!(1.25),
            Some("boolean") => json!(true),
            Some("array") => {
                let element = |choice| self.value(name, &schema["items"], choice, true, deeper);
                // Both kinds of items in a mixed list.
                if name == "items" && depth < 4 {
                    json!([element(choice)])
                } else {
                    json!([element(choice), element(choice + 1)])
                }
            }
            _ => self.with_members(schema, json!({}), choice, deeper),
        }
    }

    /// Adds the properties of the schema.
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

/// Both values merged; if they differ, the more specific and later one.
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
