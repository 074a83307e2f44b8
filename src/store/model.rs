//! `pinterest.model`: what made an embedding.

use super::write;
use crate::errors::{Failure, Kind};

/// Identity of a model, as the embedder states it.
#[derive(Clone, Debug)]
pub struct ModelRow {
    /// Of weights, precision and preprocessing together.
    pub fingerprint: Vec<u8>,
    /// The model's name.
    pub name: String,
    /// Hexadecimal.
    pub weights_sha256: String,
    /// f32, bf16, …
    pub precision: String,
    /// Name of the procedure from bytes to pixels.
    pub preprocessing: String,
    /// Numbers in a vector.
    pub dimension: i32,
}

/// The model's key, its row made on first sight.
pub fn id_of(model: &ModelRow) -> Result<i64, Failure> {
    let ids = write(
        "WITH made AS (INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension) \
         SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM pinterest.model m WHERE m.fingerprint = $1) \
         ON CONFLICT (fingerprint) DO NOTHING RETURNING model_id) \
         SELECT model_id FROM made UNION ALL SELECT m.model_id FROM pinterest.model m WHERE m.fingerprint = $1 LIMIT 1",
        &[
            model.fingerprint.clone().into(),
            model.name.as_str().into(),
            model.weights_sha256.as_str().into(),
            model.precision.as_str().into(),
            model.preprocessing.as_str().into(),
            model.dimension.into(),
        ],
        |row| row.get(1),
    )?;
    ids.into_iter()
        .next()
        .ok_or_else(|| Failure::new(Kind::Database, "another process is just recording the same model"))
}

/// Does the key stand for the model with this fingerprint?
pub fn is(model_id: i64, fingerprint: &[u8]) -> Result<bool, Failure> {
    let found = super::read(
        "SELECT EXISTS (SELECT FROM pinterest.model m WHERE m.model_id = $1 AND m.fingerprint = $2)",
        &[model_id.into(), fingerprint.to_vec().into()],
        |row| row.get(1),
    )?;
    Ok(found.first().copied().unwrap_or(false))
}
