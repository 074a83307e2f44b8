//! Counts of the parts of the rows that a page does not show, which it reports at its end.

/// The counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Links and addresses of pictures that are not https.
    pub addresses: usize,
    /// Bytes that are not a JPEG, PNG, WebP or GIF.
    pub not_pictures: usize,
    /// Pictures given as bytes beyond [`PAGE_BYTES`](crate::PAGE_BYTES).
    pub beyond_budget: usize,
    /// Rows beyond [`MOST_ROWS`](crate::MOST_ROWS).
    pub rows: usize,
}

impl LeftOut {
    /// A sentence for each that is not 0.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut add = |number: usize, one: &str, many: &str| match number {
            0 => {}
            1 => sentences.push(format!("1 {one}.")),
            _ => sentences.push(format!("{number} {many}.")),
        };
        add(self.rows, "more row is not shown", "more rows are not shown");
        add(self.addresses, "address was left out: it is not https", "addresses were left out: they are not https");
        add(
            self.not_pictures,
            "picture was left out: it is not a JPEG, PNG, WebP or GIF",
            "pictures were left out: they are not JPEG, PNG, WebP or GIF",
        );
        add(
            self.beyond_budget,
            "picture was left out: the page would be too large",
            "pictures were left out: the page would be too large",
        );
        sentences
    }
}
