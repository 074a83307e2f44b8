//! Which requests a fault is for.

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::requests::Kind;

/// A fault and the requests it is for.
///
/// Over the control path:
/// `{"on": {"kind": "board_pins"}, "fault": {"name": "spam"}, "skip": 1, "times": 2}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Which requests it looks at.
    #[serde(default)]
    pub on: Selector,
    /// What goes wrong.
    pub fault: Fault,
    /// How many of those requests pass first.
    #[serde(default)]
    pub skip: u64,
    /// How many go wrong then; `None` for all.
    #[serde(default)]
    pub times: Option<u64>,
    /// Chance of each of them to go wrong, drawn from the world's seed.
    #[serde(default = "always")]
    pub probability: f64,
}

/// Requests by kind, by path, or both; the empty selector takes every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selector {
    /// Kind of path.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Exact path without the query; with a `*` at its end, a prefix.
    #[serde(default)]
    pub path: Option<String>,
}

fn always() -> f64 {
    1.0
}

impl Rule {
    /// A rule for every request the selector takes: a [`Kind`], a path, or a [`Selector`].
    pub fn on(selector: impl Into<Selector>, fault: Fault) -> Self {
        Self { on: selector.into(), fault, skip: 0, times: None, probability: 1.0 }
    }

    /// Lets this many requests pass first.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Ends after this many faults.
    #[must_use]
    pub fn times(mut self, faults: u64) -> Self {
        self.times = Some(faults);
        self
    }

    /// Ends after one fault.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Goes wrong only now and then.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

impl Selector {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    pub(super) fn takes(&self, kind: Kind, path: &str) -> bool {
        let path_fits = |wanted: &str| match wanted.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == wanted,
        };
        self.kind.is_none_or(|wanted| wanted == kind) && self.path.as_deref().is_none_or(path_fits)
    }
}

impl From<Kind> for Selector {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind), path: None }
    }
}

impl From<&str> for Selector {
    fn from(path: &str) -> Self {
        Self { kind: None, path: Some(path.to_string()) }
    }
}

impl From<String> for Selector {
    fn from(path: String) -> Self {
        Self { kind: None, path: Some(path) }
    }
}
