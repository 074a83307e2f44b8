//! How many threads matrix products run on.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// Sets the number of threads and returns it; by default half as many as there are processors for this process. To be called
/// before there are other threads.
///
/// Half, because the threads of a matrix product wait for one another: where every processor is busy with something else
/// besides, as on a database's server, as many threads as processors were seen to take several times as long as one.
pub fn set(count: Option<NonZeroUsize>) -> usize {
    let count = count.map_or_else(
        || available_parallelism().map_or(1, |processors| processors.get().div_ceil(2)),
        NonZeroUsize::get,
    );
    // SAFETY: no other thread runs yet, so nobody reads the environment meanwhile.
    #[allow(
        unsafe_code,
        reason = "rayon's pool and candle's split of the work have this variable in common, and no function"
    )]
    unsafe {
        std::env::set_var("RAYON_NUM_THREADS", count.to_string());
    }
    count
}
