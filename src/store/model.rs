//! `pinterest.model`: the models that made embeddings.

use super::{is_true, params, read_one, write_one};
use crate::errors::Failure;

/// The identity of a model, as the embedder reports it.
#[derive(Clone, Debug)]
pub struct ModelRow {
    /// Hash of weights, precision and preprocessing together.
    pub fingerprint: Vec<u8>,
    /// The model's name.
    pub name: String,
    /// Hexadecimal.
    pub weights_sha256: String,
    /// f32, bf16, …
    pub precision: String,
    /// Name of the preprocessing of an image.
    pub preprocessing: String,
    /// Dimension of a vector.
    pub dimension: i32,
}

/// The model's key. An import calls this when it begins to work with the model; the row is inserted if it is missing.
pub fn id_of(model: &ModelRow) -> Result<i64, Failure> {
    write_one(
        "WITH known AS (UPDATE pinterest.model m SET used_at = clock_timestamp() WHERE m.fingerprint = $1 \
         RETURNING m.model_id), made AS (INSERT INTO pinterest.model AS m (fingerprint, name, weights_sha256, \
             precision, preprocessing, dimension) SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM known) \
             ON CONFLICT (fingerprint) DO UPDATE SET used_at = clock_timestamp() RETURNING m.model_id) \
         SELECT k.model_id FROM known k UNION ALL SELECT m.model_id FROM made m",
        &params![
            model.fingerprint.clone(),
            model.name.as_str(),
            model.weights_sha256.as_str(),
            model.precision.as_str(),
            model.preprocessing.as_str(),
            model.dimension
        ],
        |row| row.get(1),
    )
}

/// Whether the key is that of the model with this fingerprint.
pub fn is(model_id: i64, fingerprint: &[u8]) -> Result<bool, Failure> {
    is_true(
        "SELECT EXISTS (SELECT FROM pinterest.model m WHERE m.model_id = $1 AND m.fingerprint = $2)",
        &params![model_id, fingerprint.to_vec()],
    )
}

/// The number of embedded images that the caller may see, and of those embedded by the model with this fingerprint.
/// Runs with the caller's rights.
pub fn share_of(fingerprint: &[u8]) -> Result<(i64, i64), Failure> {
    read_one(
        // The view reads an index; the policy of the table would read the owner of each row.
        "SELECT COALESCE(sum(v.images), 0)::int8, COALESCE(sum(v.images) FILTER (WHERE m.fingerprint = $1), 0)::int8 \
         FROM pinterest.models v JOIN pinterest.model m USING (model_id)",
        &params![fingerprint.to_vec()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}
