//! `pinterest.import`: imports from the queue to their end. `queue` has the calls of users, `turn` decides which import
//! is next, `claim` gives it to a worker, `listing` and `end` record its progress and its end.

mod claim;
mod end;
mod listing;
mod queue;
mod turn;

pub use claim::{ClaimState, ClaimedImport, claim, extend_lease, give_back, in_hand, is_doubled, lock, taken_away};
pub use end::{Stop, complete, complete_unchanged, stop};
pub use listing::{
    After, Conclusion, Coverage, PageListed, add_doubts, conclude, forget_bookmark, images_found, listed,
    only_additions, record_board, record_count, record_listing_limit, record_model, record_page, record_stored,
};
pub use queue::{
    ImportOptions, Progress, account_of, cancel, end_all, enqueue, enqueue_reembedding, enqueue_syncs, park, progress,
    requeue_running, retry_failed, unpark,
};
pub use turn::{
    accounts_after, hold_unless_usable, make_due, next_wake, others_wait, owners_after, release_all_held, release_held,
    requeue_of_ended_workers,
};
