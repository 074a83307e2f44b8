//! `pinterest.import`: imports from the queue to their end.

mod claim;
mod end;
mod listing;
mod queue;

pub use claim::{
    Claim, ClaimedImport, claim, extend_lease, give_back, in_hand, is_doubled, lock, next_wake, others_wait, taken_away,
};
pub use end::{Stop, complete, complete_unchanged, stop};
pub use listing::{
    Coverage, PageListed, forget_bookmark, images_found, nothing_else_changed, record_board, record_listing_limit,
    record_model, record_page, record_stored,
};
pub use queue::{
    Progress, Wishes, account_of, cancel, enqueue, enqueue_reembedding, enqueue_syncs, park, progress, requeue_running,
    retry_failed, unpark,
};

use super::{execute, read, write};
