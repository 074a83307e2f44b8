//! Loads a model and describes it for frames and output.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use embedder::{ErrorKind, Model, ModelFingerprint};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// Loads the model in `directory`. A panic counts as an invalid model.
pub fn load(directory: &Path, options: &clip::Options) -> Result<(Box<dyn clip::Engine>, Model), Failure> {
    let engine = catch_unwind(AssertUnwindSafe(|| clip::load(directory, options)))
        .map_err(|_| Failure::new(ErrorKind::ModelInvalid, "loading the model panicked"))??;
    let mut model = describe(engine.info())?;
    if is_untrained(directory, &engine.info().weights_sha256) {
        // First, since a long notice is cut for a frame.
        let others = model.notice.map_or_else(String::new, |notice| format!("; {notice}"));
        model.notice = Some(format!("{}{others}", Model::UNTRAINED));
    }
    Ok((engine, model))
}

/// Whether the weights lack the marks of training; false if they cannot be examined.
fn is_untrained(directory: &Path, sha256: &str) -> bool {
    let training = || catch_unwind(AssertUnwindSafe(|| clip::verify::training(directory)));
    sha256 != clip::verify::PUBLISHED_SHA256
        && training().is_ok_and(|found| found.is_ok_and(|found| !found.is_trained()))
}

fn describe(info: &clip::ModelInfo) -> Result<Model, Failure> {
    let weights_sha256 = bytes_of_hexadecimal(&info.weights_sha256).ok_or_else(|| {
        Failure::new(ErrorKind::ModelInvalid, "the digest of the weights is not 64 hexadecimal digits")
    })?;
    let dimension = info.dimension as u32;
    let mut hash = Sha256::new();
    hash.update(weights_sha256);
    for name in [&info.precision, &info.preprocessing] {
        // With its length, so that different pairs of names never hash the same bytes.
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
    }
    hash.update(dimension.to_le_bytes());
    Ok(Model {
        fingerprint: ModelFingerprint::from_bytes(hash.finalize().into()),
        weights_sha256,
        dimension,
        name: info.name.clone(),
        precision: info.precision.clone(),
        kernels: info.kernels.to_string(),
        preprocessing: info.preprocessing.clone(),
        notice: info.notice.clone(),
    })
}

fn bytes_of_hexadecimal(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> clip::ModelInfo {
        clip::ModelInfo {
            name: "a".to_owned(),
            weights_sha256: "0123456789abcdef".repeat(4),
            precision: "f32".to_owned(),
            kernels: clip::Kernels::Candle,
            preprocessing: "crop".to_owned(),
            dimension: 512,
            notice: None,
        }
    }

    #[test]
    fn the_fingerprint_depends_exactly_on_what_changes_vectors() {
        let base = describe(&info()).unwrap();
        assert_eq!(base.weights_sha256[..2], [0x01, 0x23]);

        let renamed = clip::ModelInfo { name: "b".to_owned(), ..info() };
        assert_eq!(describe(&renamed).unwrap().fingerprint, base.fingerprint);

        // The same vectors up to rounding: embeddings stay comparable after a change of processors.
        let elsewhere = describe(&clip::ModelInfo { kernels: clip::Kernels::Avx2, ..info() }).unwrap();
        assert_eq!(elsewhere.fingerprint, base.fingerprint);
        assert_eq!((&*base.kernels, &*elsewhere.kernels), ("candle", "avx2"));

        for other in [
            clip::ModelInfo { weights_sha256: "f".repeat(64), ..info() },
            clip::ModelInfo { precision: "bf16".to_owned(), ..info() },
            clip::ModelInfo { preprocessing: "squash".to_owned(), ..info() },
            clip::ModelInfo { dimension: 768, ..info() },
            clip::ModelInfo { precision: "f32c".to_owned(), preprocessing: "rop".to_owned(), ..info() },
        ] {
            assert_ne!(describe(&other).unwrap().fingerprint, base.fingerprint, "{other:?}");
        }
    }

    #[test]
    fn an_invalid_digest_is_refused() {
        for digest in ["", "0123", &"g".repeat(64), &"é".repeat(32)] {
            let info = clip::ModelInfo { weights_sha256: digest.to_owned(), ..info() };
            assert_eq!(describe(&info).unwrap_err().kind, ErrorKind::ModelInvalid);
        }
    }
}
