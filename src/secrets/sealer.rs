//! Seals secrets before they are stored and opens them after they are read. Everything here runs on the main thread, inside
//! a transaction, as `pinterest_worker`.

use std::rc::Rc;

use pinterest::Secret;
use pinterest::seal::{Binding, KeyRing, Purpose};

use crate::errors::{Failure, Kind};
use crate::postgres::platform::NoCoreDump;
use crate::secrets::keys;
use crate::store::installation::{self, Installation};
use crate::store::seal::{self, SealedRow, SealedTable};

/// The key ring and the installation that secrets are bound to.
pub struct Sealer {
    ring: Rc<KeyRing>,
    installation: Installation,
    _no_core_dump: NoCoreDump,
}

impl Sealer {
    /// Reads the key ring.
    ///
    /// # Errors
    /// The database is a copy of another one; the keys cannot be read.
    pub fn open() -> Result<Self, Failure> {
        let installation = installation::get_or_create()?;
        installation.check_not_a_copy()?;
        let _no_core_dump = NoCoreDump::new();
        Ok(Sealer { ring: keys::ring()?, installation, _no_core_dump })
    }

    fn binding(&self, purpose: Purpose, row: i64, generation: i64) -> Binding<'_> {
        Binding { installation_id: &self.installation.id, purpose, row, generation }
    }

    /// Seals a secret to the row and generation that it will be stored under.
    pub fn seal(&self, purpose: Purpose, row: i64, generation: i64, secret: &Secret) -> Result<Vec<u8>, Failure> {
        Ok(self.ring.seal(&self.binding(purpose, row, generation), secret, keys::random::<24>()?))
    }

    /// Opens a secret that was sealed to this row and generation.
    pub fn unseal(&self, purpose: Purpose, row: i64, generation: i64, sealed: &[u8]) -> Result<Secret, Failure> {
        Ok(self.ring.open(&self.binding(purpose, row, generation), sealed)?)
    }

    /// The key ring's active key and all of its keys, by fingerprint.
    pub fn keys(&self) -> (String, Vec<String>) {
        (self.ring.active().to_string(), self.ring.fingerprints().iter().map(ToString::to_string).collect())
    }

    /// The keys that secrets are sealed with: those in the ring, and those missing from it.
    pub fn named_keys(&self) -> Result<(Vec<seal::SealedWith>, Vec<seal::SealedWith>), Failure> {
        let (_, ring) = self.keys();
        Ok(seal::by_key()?.into_iter().partition(|key| ring.contains(&key.fingerprint)))
    }

    /// The error for secrets whose keys are missing from the ring.
    pub fn missing_keys(&self, missing: &[seal::SealedWith]) -> Failure {
        let missing: Vec<_> = missing
            .iter()
            .map(|key| format!("{} secrets are sealed with key {}", key.secrets, key.fingerprint))
            .collect();
        let (_, ring) = self.keys();
        Failure::new(Kind::KeyMissing, format!("{}; the server has {}", missing.join(", "), ring.join(", ")))
    }

    /// Seals the next batch of rows that are sealed with another key of the ring with the active key. Returns the id of the
    /// last row, `None` at the end, and the number of rows that could not be opened, which are left unchanged.
    pub fn reseal(&self, table: SealedTable, after: i64, limit: i64) -> Result<(Option<i64>, usize), Failure> {
        let (active, ring) = self.keys();
        let old: Vec<String> = ring.into_iter().filter(|key| *key != active).collect();
        let rows = seal::batch(table, after, &old, limit)?;
        let last = rows.last().map(|row| row.id);
        let mut broken = 0;
        for row in rows {
            match self.sealed_again(table, &row) {
                Ok(secrets) => seal::put_back(table, SealedRow { secrets, ..row })?,
                Err(failure) if matches!(failure.kind, Kind::SealBroken | Kind::KeyMissing) => broken += 1,
                Err(failure) => return Err(failure),
            }
        }
        Ok((last, broken))
    }

    fn sealed_again(&self, table: SealedTable, row: &SealedRow) -> Result<[Option<Vec<u8>>; 3], Failure> {
        let purposes = match table {
            SealedTable::Tokens => [Purpose::AccessToken, Purpose::RefreshToken, Purpose::PreviousRefreshToken],
            SealedTable::Apps => [Purpose::ClientSecret; 3],
        };
        let mut again = [None, None, None];
        for ((purpose, sealed), slot) in purposes.into_iter().zip(&row.secrets).zip(&mut again) {
            if let Some(sealed) = sealed {
                let secret = self.unseal(purpose, row.id, row.generation, sealed)?;
                *slot = Some(self.seal(purpose, row.id, row.generation, &secret)?);
            }
        }
        Ok(again)
    }
}
