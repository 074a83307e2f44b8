//! What an import stores of its images besides their embeddings.

/// The wish of an import; each includes those before it. In the tables it is two columns, because the first one was a boolean
/// in version 0.0.1, and a dump of it has to be restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Nothing.
    #[default]
    None,
    /// Thumbnails.
    Thumbnails,
    /// The downloaded bytes, and thumbnails.
    Originals,
}

impl Keep {
    /// All, from the least to the most.
    pub const ALL: [Keep; 3] = [Keep::None, Keep::Thumbnails, Keep::Originals];

    /// The word of SQL.
    pub fn name(self) -> &'static str {
        match self {
            Keep::None => "none",
            Keep::Thumbnails => "thumbnails",
            Keep::Originals => "originals",
        }
    }

    /// By the word of SQL.
    pub fn named(name: &str) -> Option<Self> {
        Keep::ALL.into_iter().find(|keep| keep.name() == name)
    }

    /// As the columns `keep_images` and `keep_thumbnails` have it.
    pub fn of(images: bool, thumbnails: bool) -> Self {
        match (images, thumbnails) {
            (true, _) => Keep::Originals,
            (false, true) => Keep::Thumbnails,
            (false, false) => Keep::None,
        }
    }

    /// Whether thumbnails are stored.
    pub fn thumbnails(self) -> bool {
        self >= Keep::Thumbnails
    }

    /// Whether the downloaded bytes are stored.
    pub fn originals(self) -> bool {
        self == Keep::Originals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_columns_round_trip() {
        for keep in Keep::ALL {
            assert_eq!(Keep::named(keep.name()), Some(keep));
            assert_eq!(Keep::of(keep.originals(), keep.thumbnails()), keep);
        }
        assert_eq!(Keep::named("true"), None);
        assert_eq!(Keep::of(true, false), Keep::Originals, "an import of version 0.0.1");
    }
}
