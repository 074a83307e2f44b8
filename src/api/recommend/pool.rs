//! The rows to choose from: those near each theme.

use std::collections::{HashMap, HashSet};

use taste::{Direction, ErrorKind, Ranking, Taste, Theme, Vectors};

use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;
use crate::postgres::vector::{DIMENSION, Vector};
use crate::store::candidates::Search;

/// Rows near each theme for every row that is wanted: diversity needs something to choose from.
const OVERSAMPLING: usize = 4;
/// The least rows near each theme.
const LEAST: usize = 50;
/// The most rows near each theme that are asked for where a key has many rows.
const MOST: usize = 16_384;

/// Candidates between two questions for memory.
const STRIDE: usize = 1024;

/// Candidates, each key once.
pub struct Pool {
    /// The keys.
    pub keys: Vec<String>,
    /// The embedding of each key's best row.
    pub vectors: Vectors,
    /// How many of them each theme's search chose; 0 where it came to the end of the table.
    pub chosen: Vec<usize>,
}

/// The candidates for `k` picks. Where a key has many rows, the best counts, and as many more rows are looked at as it
/// takes to find enough keys.
pub fn gather(search: &Search, taste: &Taste, k: usize) -> Result<Pool, Failure> {
    let directions: Vec<Vector> =
        taste.themes.iter().map(|theme| Vector::from_slice(&theme.direction)).collect::<Result<_, _>>()?;
    // What boards against push down is to be replaced by what lies farther off.
    let spare = if taste.against.is_empty() { 1 } else { OVERSAMPLING };
    let wanted = (OVERSAMPLING * k).max(LEAST) * spare;
    let mut each = wanted;
    loop {
        let mut best = Best::default();
        let mut rows = vec![0; directions.len()];
        let mut chosen = vec![HashSet::new(); directions.len()];
        search.nearest(&directions, each, |place, candidate| {
            rows[place] += 1;
            chosen[place].extend(best.add(taste, candidate.key, &candidate.embedding)?);
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
    places: HashMap<String, usize>,
    keys: Vec<String>,
    directions: Vec<Direction>,
}

impl Best {
    /// The place of the key; None for a row that is no candidate.
    fn add(&mut self, taste: &Taste, key: String, embedding: &Vector) -> Result<Option<usize>, Failure> {
        let direction = match Direction::normalised(embedding.values()) {
            Ok(direction) => direction,
            // A row of zeros points nowhere: it is no candidate, as a row without an embedding is none.
            Err(error) if error.kind() == ErrorKind::Zero => return Ok(None),
            Err(error) => return Err(Failure::new(Kind::Internal, error.to_string())),
        };
        match self.places.get(&key) {
            None => {
                let place = self.keys.len();
                if self.keys.len().is_multiple_of(STRIDE) {
                    // Keys twice, directions twice at the end, and vectors that grow by doubling.
                    let each = 4 * (size_of::<[f32; DIMENSION]>() + key.len() + 64);
                    room_for((self.keys.len() + STRIDE).saturating_mul(each))?;
                }
                self.places.insert(key.clone(), place);
                self.keys.push(key);
                self.directions.push(direction);
                Ok(Some(place))
            }
            Some(&place) => {
                let known = &mut self.directions[place];
                if *known != direction && matching(taste, &direction) > matching(taste, known) {
                    *known = direction;
                }
                Ok(Some(place))
            }
        }
    }

    /// In the order of the keys, which ties are broken by: whichever way the rows were found.
    fn pool(self, chosen: Vec<usize>) -> Result<Pool, Failure> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by(|&left, &right| self.keys[left].cmp(&self.keys[right]));
        let mut pool = Pool { keys: Vec::new(), vectors: Vectors::with_capacity(DIMENSION, order.len()), chosen };
        for place in order {
            pool.keys.push(self.keys[place].clone());
            pool.vectors
                .push(&self.directions[place])
                .map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
        }
        Ok(pool)
    }
}

/// How well it fits the theme that it fits best, as [`taste::rank`] compares themes.
fn matching(taste: &Taste, direction: &Direction) -> f64 {
    let handicap = Ranking::default().handicap;
    let fit = |theme: &Theme| {
        let cosine: f32 = theme.direction.iter().zip(direction.iter()).map(|(left, right)| left * right).sum();
        f64::from(cosine) - handicap * theme.cohesion
    };
    taste.themes.iter().map(fit).fold(f64::NEG_INFINITY, f64::max)
}
