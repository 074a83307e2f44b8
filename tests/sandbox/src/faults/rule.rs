//! Rules: a fault and the requests to which it applies.

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::requests::Kind;

/// A fault and the requests to which it applies.
///
/// Over the control path:
/// `{"on": {"kind": "board_pins"}, "fault": {"name": "spam"}, "skip": 1, "times": 2}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The selected requests.
    #[serde(default)]
    pub on: Selector,
    /// The fault.
    pub fault: Fault,
    /// How many of the selected requests pass first.
    #[serde(default)]
    pub skip: u64,
    /// How often the fault is applied; `None` for no limit.
    #[serde(default)]
    pub times: Option<u64>,
    /// Probability that the fault is applied to a request, drawn from the world's seed.
    #[serde(default = "always")]
    pub probability: f64,
}

/// Requests by kind, by path, or both; the empty selector selects all requests.
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
    /// A rule for all requests of a selector: a [`Kind`], a path, or a [`Selector`].
    pub fn on(selector: impl Into<Selector>, fault: Fault) -> Self {
        Self { on: selector.into(), fault, skip: 0, times: None, probability: 1.0 }
    }

    /// The first `requests` requests pass.
    #[must_use]
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Applies the fault this many times.
    #[must_use]
    pub fn times(mut self, faults: u64) -> Self {
        self.times = Some(faults);
        self
    }

    /// Applies the fault once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Applies the fault with this probability.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

impl Selector {
    /// Selects all requests.
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
