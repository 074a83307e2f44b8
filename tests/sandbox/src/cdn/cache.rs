//! A cache of files, limited in bytes.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use bytes::Bytes;

/// The oldest files are removed first: most images are requested once.
#[derive(Debug)]
pub(crate) struct Cache<K> {
    limit: usize,
    held: usize,
    files: HashMap<K, Bytes>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash> Cache<K> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, held: 0, files: HashMap::new(), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<Bytes> {
        self.files.get(key).cloned()
    }

    pub(crate) fn put(&mut self, key: K, file: Bytes) {
        if file.len() > self.limit || self.files.contains_key(&key) {
            return;
        }
        self.held += file.len();
        self.files.insert(key.clone(), file);
        self.order.push_back(key);
        while self.held > self.limit {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(file) = self.files.remove(&oldest) {
                self.held -= file.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds() {
        let mut cache = Cache::new(10);
        for key in 0..5 {
            cache.put(key, Bytes::from_static(b"1234"));
        }
        assert_eq!(cache.held, 8);
        assert!(cache.get(&2).is_none());
        assert!(cache.get(&3).is_some() && cache.get(&4).is_some());
        cache.put(9, Bytes::from_static(b"far too long to keep"));
        assert!(cache.get(&9).is_none() && cache.get(&4).is_some());
    }
}
