//! The counters of a database. Times are in microseconds, moments in microseconds since 2000-01-01 UTC.

/// A view, and so a group of counters that are reset together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// `pinterest.stat_imports`
    Imports,
    /// `pinterest.stat_images`
    Images,
    /// `pinterest.stat_requests`
    Requests,
    /// `pinterest.stat_refreshes`
    Refreshes,
    /// `pinterest.stat_tracked`
    Tracked,
    /// `pinterest.stat_embedder`, the only one of the whole cluster.
    Embedder,
}

impl View {
    /// All views; those of a database come first.
    pub const ALL: [View; 6] =
        [View::Imports, View::Images, View::Requests, View::Refreshes, View::Tracked, View::Embedder];
    /// Views of a database.
    pub const OF_DATABASE: usize = 5;

    /// Its name in the schema `pinterest`.
    pub fn name(self) -> &'static str {
        match self {
            View::Imports => "stat_imports",
            View::Images => "stat_images",
            View::Requests => "stat_requests",
            View::Refreshes => "stat_refreshes",
            View::Tracked => "stat_tracked",
            View::Embedder => "stat_embedder",
        }
    }
}

/// A counter of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Of imports.
    Import(Import),
    /// Of images of a source.
    Image(Source, Image),
    /// Of refreshes of tokens.
    Refresh(Refresh),
}

/// Counters of imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Import {
    /// Imports queued, by calls or a sync, and queued again by `pinterest_retry_failed()`.
    Queued,
    /// Runs: a worker has claimed an import.
    Started,
    /// Imports completed, unchanged ones included.
    Completed,
    /// Imports failed.
    Failed,
    /// Imports cancelled.
    Cancelled,
    /// Imports completed without a listing, because the board had not changed.
    Unchanged,
    /// Runs that ended because the quota was used up.
    WaitsQuota,
    /// Runs that ended because the app has no access.
    WaitsAccess,
    /// Imports parked until the account's user reconnects it.
    WaitsReauth,
    /// Pins listed.
    PinsListed,
    /// Time of runs.
    Time,
}

/// Where images come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Source {
    /// Imports.
    Import,
    /// Tracked columns with images or their addresses.
    Tracked,
    /// Calls of `pinterest_embed_image()` and `pinterest_embed_images()`.
    Call,
}

impl Source {
    /// All sources.
    pub const ALL: [Source; 3] = [Source::Import, Source::Tracked, Source::Call];

    /// Its name in `pinterest.stat_images`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Import => "import",
            Source::Tracked => "tracked",
            Source::Call => "call",
        }
    }
}

/// Counters of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Image {
    /// Images embedded and stored or returned.
    Embedded,
    /// Images whose embedding existed.
    Reused,
    /// Images that are not embedded on purpose.
    Skipped,
    /// Images that failed for good.
    Failed,
    /// Images downloaded.
    Downloads,
    /// Their bytes.
    Bytes,
    /// Time of these downloads.
    DownloadTime,
    /// Time that successful requests to the embedder took.
    EmbedTime,
}

/// Counters of refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Refresh {
    /// New tokens stored.
    Succeeded,
    /// Attempts that failed and are repeated.
    Failed,
    /// Refusals after which the account's user has to connect it again.
    Rejected,
    /// When tokens were last stored.
    LastSuccess,
    /// When an attempt last failed or was rejected.
    LastFailure,
}

/// Counters of a tracked column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Tracked {
    /// Embeddings written.
    Embedded,
    /// Rows that failed for good.
    Failed,
    /// Rows that needed no new embedding.
    Skipped,
    /// Attempts that failed and are repeated.
    Retries,
}

const IMPORTS: usize = Import::Time as usize + 1;
const IMAGES: usize = Image::EmbedTime as usize + 1;
const REFRESHES: usize = Refresh::LastFailure as usize + 1;

impl Counter {
    /// Number of counters of a database.
    pub const NUMBER: usize = IMPORTS + Source::ALL.len() * IMAGES + REFRESHES;

    /// Its index among them.
    pub fn index(self) -> usize {
        match self {
            Counter::Import(counter) => counter as usize,
            Counter::Image(source, counter) => IMPORTS + source as usize * IMAGES + counter as usize,
            Counter::Refresh(counter) => IMPORTS + Source::ALL.len() * IMAGES + counter as usize,
        }
    }

    /// The indexes that belong to a view.
    pub fn indexes_of(view: View) -> std::ops::Range<usize> {
        let images = IMPORTS + Source::ALL.len() * IMAGES;
        match view {
            View::Imports => 0..IMPORTS,
            View::Images => IMPORTS..images,
            View::Refreshes => images..Self::NUMBER,
            View::Requests | View::Tracked | View::Embedder => 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_place_of_its_own_in_its_view() {
        let imports = [Import::Queued, Import::PinsListed, Import::Time].map(Counter::Import);
        let images = Source::ALL.map(|source| Counter::Image(source, Image::EmbedTime));
        let refreshes = [Refresh::Succeeded, Refresh::LastFailure].map(Counter::Refresh);
        for (view, counters) in [(View::Imports, &imports[..]), (View::Images, &images), (View::Refreshes, &refreshes)]
        {
            assert!(counters.iter().all(|counter| Counter::indexes_of(view).contains(&counter.index())), "{view:?}");
        }
        let all: Vec<usize> = View::ALL.into_iter().flat_map(Counter::indexes_of).collect();
        assert_eq!(all, (0..Counter::NUMBER).collect::<Vec<_>>());
    }
}
