//! The candidates: the rows near each theme.

use std::collections::{HashMap, HashSet};

use taste::{Direction, ErrorKind, Taste, Vectors};

use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;
use crate::postgres::vector::{DIMENSION, Vector};
use crate::store::candidates::Search;

/// Rows near each theme per requested row: diversity needs a choice.
const OVERSAMPLING: usize = 4;
/// The least number of rows near each theme.
const LEAST: usize = 50;
/// The greatest number of rows near each theme that is requested if a key has many rows.
const MOST: usize = 16_384;

/// Candidates between two checks of the memory.
const STRIDE: usize = 1024;

/// Candidates, each key once.
pub struct Pool {
    /// The keys.
    pub keys: Vec<String>,
    /// The embedding of each key's best row.
    pub vectors: Vectors,
    /// The number of candidates that the search for each theme chose; 0 if it reached the end of the table.
    pub chosen: Vec<usize>,
}

/// The candidates for `k` picks. If keys have several rows, the best row counts, and more rows are read until there are enough
/// keys.
///
/// # Errors
///
/// Those of the search; OutOfMemory.
pub fn gather(search: &Search, taste: &Taste, k: usize) -> Result<Pool, Failure> {
    let directions: Vec<Vector> =
        taste.themes.iter().map(|theme| Vector::from_slice(&theme.direction)).collect::<Result<_, _>>()?;
    // Rows farther off replace those that disliked boards push down.
    let spare = if taste.against.is_empty() { 1 } else { OVERSAMPLING };
    let wanted = (OVERSAMPLING * k).max(LEAST) * spare;
    let mut each = wanted;
    loop {
        let mut best = Best::default();
        let mut rows = vec![0; directions.len()];
        let mut chosen = vec![HashSet::new(); directions.len()];
        search.nearest(&directions, each, |theme, candidate| {
            rows[theme] += 1;
            chosen[theme].extend(best.add(taste, candidate.key, &candidate.embedding)?);
            Ok(())
        })?;
        let all = rows.iter().all(|&rows| rows < each);
        if all || best.keys.len() >= wanted || each >= MOST {
            let chosen = rows.iter().zip(&chosen).map(|(&rows, keys)| if rows < each { 0 } else { keys.len() });
            return best.pool(chosen.collect());
        }
        each *= 4;
    }
}

/// The best row of each key so far.
#[derive(Default)]
struct Best {
    indexes: HashMap<String, usize>,
    keys: Vec<String>,
    directions: Vec<Direction>,
}

impl Best {
    /// The index of the key; None for a row that is not a candidate.
    fn add(&mut self, taste: &Taste, key: String, embedding: &Vector) -> Result<Option<usize>, Failure> {
        let direction = match Direction::normalised(embedding.values()) {
            Ok(direction) => direction,
            // Zeros have no direction: like a row without an embedding, such a row is not a candidate.
            Err(error) if error.kind() == ErrorKind::Zero => return Ok(None),
            Err(error) => return Err(Failure::new(Kind::Internal, error.to_string())),
        };
        if let Some(&index) = self.indexes.get(&key) {
            let known = &mut self.directions[index];
            if *known != direction && taste.relevance(&direction) > taste.relevance(known) {
                *known = direction;
            }
            return Ok(Some(index));
        }
        let index = self.keys.len();
        if index.is_multiple_of(STRIDE) {
            // Keys twice, directions twice at the end, and vectors that grow by doubling.
            let each = 4 * (size_of::<[f32; DIMENSION]>() + key.len() + 64);
            room_for((index + STRIDE).saturating_mul(each))?;
        }
        self.indexes.insert(key.clone(), index);
        self.keys.push(key);
        self.directions.push(direction);
        Ok(Some(index))
    }

    /// In the order of the keys, by which ties are broken, in whichever order the rows were found.
    fn pool(self, chosen: Vec<usize>) -> Result<Pool, Failure> {
        let mut rows: Vec<(String, Direction)> = self.keys.into_iter().zip(self.directions).collect();
        rows.sort_by(|left, right| left.0.cmp(&right.0));
        let mut pool = Pool { keys: Vec::new(), vectors: Vectors::with_capacity(DIMENSION, rows.len()), chosen };
        for (key, direction) in rows {
            pool.keys.push(key);
            pool.vectors.push(&direction).map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
        }
        Ok(pool)
    }
}
