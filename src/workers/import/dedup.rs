//! Images with the same bytes under different addresses: one of them is embedded, the others wait until it is recorded and
//! copy its embedding.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Up to this number of entries, unused ones are kept.
const FEW: usize = 256;

/// By SHA-256.
type Locks = HashMap<[u8; 32], Weak<Mutex<()>>>;

/// The images in work, of all imports of this worker. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SameBytes(Rc<RefCell<Locks>>);

/// No other task works on the same bytes until this is dropped, after the result was recorded.
pub type Turn = OwnedMutexGuard<()>;

impl SameBytes {
    /// Waits until no other task works on these bytes.
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
