//! Changes of a value in one place.

use serde_json::{Value, json};

/// Placeholder of [`HUGE_NUMBER`], which a [`Value`] cannot hold.
const HUGE: &str = "\u{e000}huge";
const HUGE_NUMBER: &str = "1e999";

/// A place in a value: names of members and indexes of lists.
pub type Place = Vec<String>;

/// All places in a value, at every depth, without the value itself.
pub fn places(value: &Value) -> Vec<Place> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(elements) => elements.iter().enumerate().map(|(place, it)| (place.to_string(), it)).collect(),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for (step, child) in children {
        found.push(vec![step.clone()]);
        for mut below in places(child) {
            below.insert(0, step.clone());
            found.push(below);
        }
    }
    found
}

/// The value in a place.
pub fn at<'a>(value: &'a Value, place: &[String]) -> Option<&'a Value> {
    place.iter().try_fold(value, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// One way to spoil a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Spoiled {
    /// It is removed.
    Absent,
    /// It is replaced.
    By(Value),
    /// An unknown member is added beside it.
    Beside(Value),
}

/// The ways to spoil a value.
pub fn ways(value: &Value) -> Vec<Spoiled> {
    let mut by = vec![
        Value::Null,
        json!(true),
        json!("true"),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!(HUGE),
        json!(""),
        json!(" "),
        json!("SOMETHING_NEW"),
        json!("7"),
        json!("x".repeat(5_000)),
        json!("\u{0}\u{ffff}\u{202e}"),
        json!([]),
        json!({}),
        json!([value]),
        json!([[value], null, HUGE]),
        json!({ "value": value }),
    ];
    match value {
        Value::Number(number) => {
            by.extend([json!(number.to_string()), json!(number.as_f64().unwrap_or_default() + 0.5)])
        }
        Value::String(text) => by.extend(text.parse::<u64>().ok().map(|number| json!(number))),
        Value::Bool(truth) => by.extend([json!(truth.to_string()), json!(i32::from(*truth)), json!(!truth)]),
        Value::Array(elements) => {
            by.extend(elements.first().cloned());
            by.push(elements.iter().enumerate().map(|(place, it)| (place.to_string(), it.clone())).collect());
            by.push(elements.iter().cloned().chain([Value::Null, json!(7), json!({})]).collect());
        }
        Value::Object(members) => by.push(members.values().cloned().collect()),
        Value::Null => {}
    }
    by.retain(|other| other != value);
    let beside = [json!({ "deep": [null, HUGE, { "more": true }] }), json!(HUGE)].map(Spoiled::Beside);
    [Spoiled::Absent].into_iter().chain(by.into_iter().map(Spoiled::By)).chain(beside).collect()
}

/// Spoils a place of a value.
pub fn spoil(value: &mut Value, place: &[String], way: &Spoiled) {
    let (last, above) = place.split_last().expect("a place");
    let Some(parent) = above.iter().try_fold(value, |value, step| match value {
        Value::Object(members) => members.get_mut(step),
        Value::Array(elements) => elements.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    }) else {
        return;
    };
    match (parent, way) {
        (Value::Object(members), Spoiled::Absent) => drop(members.remove(last)),
        (Value::Object(members), Spoiled::By(other)) => drop(members.insert(last.clone(), other.clone())),
        (Value::Object(members), Spoiled::Beside(other)) => {
            drop(members.insert("a_member_that_nobody_knows".to_owned(), other.clone()));
        }
        (Value::Array(elements), way) => {
            let Some(place) = last.parse::<usize>().ok().filter(|place| *place < elements.len()) else { return };
            match way {
                Spoiled::Absent => drop(elements.remove(place)),
                Spoiled::By(other) => elements[place] = other.clone(),
                Spoiled::Beside(other) => elements.push(other.clone()),
            }
        }
        _ => {}
    }
}

/// The bytes of an answer.
pub fn written(value: &Value) -> Vec<u8> {
    value.to_string().replace(&json!(HUGE).to_string(), HUGE_NUMBER).into_bytes()
}
