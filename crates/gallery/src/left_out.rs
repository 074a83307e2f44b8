//! What a page does not show although it was given: said at its end, so that nobody looks for it in vain.

/// Counts of what was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Links and addresses of pictures that are not https.
    pub addresses: usize,
    /// Bytes that are no JPEG, PNG, WebP or GIF.
    pub not_pictures: usize,
    /// Pictures beyond [`PAGE_BYTES`](crate::PAGE_BYTES) that have no address to be shown from instead.
    pub beyond_budget: usize,
    /// Rows beyond [`MOST_ROWS`](crate::MOST_ROWS).
    pub rows: usize,
}

impl LeftOut {
    /// A sentence for each that is not 0.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut say = |number: usize, one: &str, many: &str| match number {
            0 => {}
            1 => sentences.push(format!("1 {one}.")),
            _ => sentences.push(format!("{number} {many}.")),
        };
        say(self.rows, "more row is not shown", "more rows are not shown");
        say(self.addresses, "address was left out: it is not https", "addresses were left out: they are not https");
        say(
            self.not_pictures,
            "picture was left out: it is no JPEG, PNG, WebP or GIF",
            "pictures were left out: they are no JPEG, PNG, WebP or GIF",
        );
        say(
            self.beyond_budget,
            "picture was left out: the page would be too large",
            "pictures were left out: the page would be too large",
        );
        sentences
    }
}
