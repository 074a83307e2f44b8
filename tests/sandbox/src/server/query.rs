//! The pairs of a query or a form.

#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self { pairs: form_urlencoded::parse(encoded).into_owned().collect() }
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let pair = self.pairs.iter().find(|(key, _)| key == name)?;
        Some(&pair.1)
    }

    /// All values of a name, for arrays.
    pub(crate) fn all<'a>(&'a self, name: &str) -> Vec<&'a str> {
        let pairs = self.pairs.iter().filter(|(key, _)| key == name);
        pairs.map(|(_, value)| value.as_str()).collect()
    }

    /// All pairs but those of one name, sorted and encoded.
    pub(crate) fn without(&self, name: &str) -> String {
        let mut pairs: Vec<_> = self.pairs.iter().filter(|(key, _)| key != name).collect();
        pairs.sort();
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
}
