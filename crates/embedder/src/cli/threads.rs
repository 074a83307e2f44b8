//! How many threads matrix products run on.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// Sets the number of threads, by default that of the processors this process may use, and returns it. To be called before
/// there are other threads.
pub fn set(count: Option<NonZeroUsize>) -> usize {
    let count = count.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get);
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
