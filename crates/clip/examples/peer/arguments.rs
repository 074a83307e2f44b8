//! `--name value` pairs of the command line.

use std::collections::HashMap;
use std::str::FromStr;

use crate::Result;

pub struct Arguments(HashMap<String, String>);

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut values = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("expected --name, found {word}"))?;
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            values.insert(name.to_owned(), value);
        }
        Ok(Self(values))
    }

    pub fn required<T: FromStr<Err: std::error::Error + 'static>>(&self, name: &str) -> Result<T> {
        self.optional(name)?.ok_or_else(|| format!("--{name} is missing").into())
    }

    pub fn optional<T: FromStr<Err: std::error::Error + 'static>>(&self, name: &str) -> Result<Option<T>> {
        Ok(self.0.get(name).map(|value| value.parse()).transpose()?)
    }
}
