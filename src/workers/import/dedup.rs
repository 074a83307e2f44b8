//! Pictures that are the same bytes under different addresses: of those in work at the same time one is embedded, the
//! others wait for it to be recorded and take its embedding.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Entries of which the dead ones are not looked for.
const FEW: usize = 256;

/// By SHA-256.
type Locks = HashMap<[u8; 32], Weak<Mutex<()>>>;

/// The pictures in work, of all imports of this worker.
#[derive(Clone, Debug, Default)]
pub struct SameBytes(Rc<RefCell<Locks>>);

/// Nobody else works on the same bytes until it is dropped, which is after the outcome was recorded.
pub type Turn = OwnedMutexGuard<()>;

impl SameBytes {
    /// Waits for whoever works on these bytes.
    pub async fn turn(&self, sha256: [u8; 32]) -> Turn {
        let known = self.0.borrow().get(&sha256).and_then(Weak::upgrade);
        let lock = known.unwrap_or_else(|| {
            let mut all = self.0.borrow_mut();
            if all.len() >= FEW {
                all.retain(|_, lock| lock.strong_count() > 0);
            }
            let lock = Arc::new(Mutex::new(()));
            all.insert(sha256, Arc::downgrade(&lock));
            lock
        });
        lock.lock_owned().await
    }
}
