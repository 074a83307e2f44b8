//! Writing and loading a stand-in, and the errors of `load` for invalid models.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use clip::standin::{self, Size};
use clip::{DIMENSION, Error, ErrorKind, Kernels, Options, PREPROCESSING, Precision, Tokenizer};
use tempfile::TempDir;

use crate::support::{self, SEED};

/// candle's engine, which leaves no packed weights beside the files that these tests are about.
fn reference() -> Options {
    support::options(Precision::F32, Kernels::Candle, 1)
}

fn written(seed: u64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    standin::write(directory.path(), seed, Size::Tiny).unwrap();
    directory
}

fn refused(directory: &Path) -> Error {
    match clip::load(directory, &reference()) {
        Ok(engine) => panic!("{:?} was loaded", engine.info()),
        Err(error) => error,
    }
}

#[test]
fn the_seed_decides_every_byte() {
    let (one, same, other) = (written(1), written(1), written(2));
    for file in ["config.json", "model.safetensors"] {
        let read = |directory: &TempDir| fs::read(directory.path().join(file)).unwrap();
        assert!(read(&one) == read(&same), "{file} differs");
        assert!(read(&one) != read(&other), "{file} does not depend on the seed");
    }
    let files: Vec<_> = fs::read_dir(one.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "something was left behind: {files:?}");
}

#[test]
fn the_loaded_model_is_the_written_one() {
    let directory = tempfile::tempdir().unwrap();
    // A directory that does not exist yet, and a second time over itself.
    let path = directory.path().join("models/tiny");
    standin::write(&path, SEED, Size::Tiny).unwrap();
    let written = standin::write(&path, SEED, Size::Tiny).unwrap();
    let engine = clip::load(&path, &reference()).unwrap();
    let info = engine.info();
    assert_eq!((&info.name, &info.weights_sha256), (&written.name, &written.weights_sha256));
    assert_eq!(info.name, "clip-tiny-patch32-standin-42");
    assert_eq!(info.dimension, DIMENSION);
    assert_eq!(info.preprocessing, PREPROCESSING);
    assert_eq!(info.weights_sha256.len(), 64);
}

#[test]
fn an_unwritable_path_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = standin::write(&file.join("model"), SEED, Size::Tiny).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("file/model"), "{error}");
}

#[test]
fn embeddings_do_not_depend_on_the_batch() {
    let mut engine = support::standin(Size::Tiny);
    // More than one batch of the engine.
    let names = ["portrait.jpg", "landscape.jpg", "grey.png", "lossy.webp", "strip.png"];
    let pixels: Vec<_> =
        names.iter().cycle().take(11).map(|name| support::preprocess(&support::picture(name))).collect();
    let together = engine.embed_images(&pixels).unwrap();
    for (index, picture) in pixels.iter().enumerate() {
        let alone = engine.embed_images(std::slice::from_ref(picture)).unwrap();
        assert!(alone[0].cosine(&together[index]) > 1.0 - 1e-6, "picture {index}");
    }

    let tokenizer = Tokenizer::new();
    let texts: Vec<_> = ["beach", "a long sentence about a barn", "🏖", "garden", "rooftop bar", "beach"]
        .iter()
        .map(|text| tokenizer.encode(text).unwrap())
        .collect();
    let together = engine.embed_texts(&texts).unwrap();
    for (index, text) in texts.iter().enumerate() {
        let alone = engine.embed_texts(std::slice::from_ref(text)).unwrap();
        assert!(alone[0].cosine(&together[index]) > 1.0 - 1e-6, "text {index}");
    }
    // Results are in the order of the inputs, not of their lengths.
    assert!(together[0].cosine(&together[5]) > 1.0 - 1e-6);
    assert!(together[0].cosine(&together[1]) < 0.99);
    assert!(engine.embed_images(&[]).unwrap().is_empty());
    assert!(engine.embed_texts(&[]).unwrap().is_empty());
}

#[test]
fn padding_changes_nothing() {
    let mut engine = support::standin(Size::Tiny);
    let short = Tokenizer::new().encode("a barn at dusk").unwrap();
    let mut padded = short.clone();
    padded.resize(77, 49407);
    let embeddings = engine.embed_texts(&[short, padded]).unwrap();
    assert!(embeddings[0].cosine(&embeddings[1]) > 1.0 - 1e-6);
}

#[test]
fn missing_files_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let error = refused(&directory.path().join("nowhere"));
    assert_eq!(error.kind(), ErrorKind::ModelMissing);
    assert!(error.to_string().contains("nowhere/config.json"), "{error}");

    let directory = written(SEED);
    fs::remove_file(directory.path().join("model.safetensors")).unwrap();
    let error = refused(directory.path());
    assert_eq!(error.kind(), ErrorKind::ModelMissing);
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}

/// The bytes of one tiny stand-in.
static WEIGHTS: LazyLock<Vec<u8>> = LazyLock::new(|| fs::read(written(SEED).path().join("model.safetensors")).unwrap());

fn with_weights(weights: &[u8]) -> TempDir {
    let directory = written(SEED);
    fs::write(directory.path().join("model.safetensors"), weights).unwrap();
    directory
}

fn with_header(change: impl Fn(&str) -> String) -> TempDir {
    let length = u64::from_le_bytes(WEIGHTS[..8].try_into().unwrap()) as usize;
    let header = change(std::str::from_utf8(&WEIGHTS[8..8 + length]).unwrap());
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend_from_slice(header.as_bytes());
    weights.extend_from_slice(&WEIGHTS[8 + length..]);
    with_weights(&weights)
}

#[test]
fn a_missing_tensor_is_an_error() {
    // The two that candle would initialise by itself.
    for name in ["vision_model.embeddings.class_embedding", "logit_scale"] {
        let directory = with_header(|header| header.replace(&format!("\"{name}\""), "\"something_else\""));
        let error = refused(directory.path());
        assert_eq!(error.kind(), ErrorKind::ModelInvalid);
        assert!(error.to_string().contains(&format!("tensor {name} is missing")), "{error}");
    }
}

#[test]
fn additional_tensors_are_skipped() {
    let directory = written(SEED);
    let info = clip::load(directory.path(), &reference()).unwrap().info().clone();
    // As in the published checkpoint: indices, at the end.
    let length = WEIGHTS.len() - 8 - u64::from_le_bytes(WEIGHTS[..8].try_into().unwrap()) as usize;
    let entry = format!(
        r#","text_model.embeddings.position_ids":{{"dtype":"I64","shape":[1,2],"data_offsets":[{length},{}]}}}}"#,
        length + 16
    );
    let directory = with_header(|header| format!("{}{entry}", header.trim_end().strip_suffix('}').unwrap()));
    let path = directory.path().join("model.safetensors");
    let mut weights = fs::read(&path).unwrap();
    weights.extend_from_slice(&[7; 16]);
    fs::write(&path, weights).unwrap();
    let more = clip::load(directory.path(), &reference()).unwrap();
    assert_ne!(more.info().weights_sha256, info.weights_sha256);
}

#[test]
fn damaged_weights() {
    let cut = with_weights(&WEIGHTS[..WEIGHTS.len() / 2]);
    let long = with_weights(&[&WEIGHTS[..], b"more"].concat());
    let noise = with_weights(&[0xA5; 5_000]);
    let empty = with_weights(b"");
    let dtype = with_header(|header| header.replacen("\"F32\"", "\"I32\"", 1));
    let gap = with_header(|header| header.replacen("[0,4]", "[4,8]", 1));
    for (what, directory) in
        [("cut", cut), ("long", long), ("noise", noise), ("empty", empty), ("dtype", dtype), ("gap", gap)]
    {
        let error = refused(directory.path());
        assert_eq!(error.kind(), ErrorKind::ModelInvalid, "{what}: {error}");
        assert!(error.to_string().contains("model.safetensors"), "{what}: {error}");
    }
}

#[test]
fn the_hash_is_that_of_the_file() {
    let mut weights = WEIGHTS.clone();
    let last = weights.len() - 1;
    weights[last] ^= 1;
    let (whole, changed) = (with_weights(&WEIGHTS), with_weights(&weights));
    let hash = |directory: &TempDir| clip::load(directory.path(), &reference()).unwrap().info().weights_sha256.clone();
    assert_ne!(hash(&whole), hash(&changed));
}

#[test]
fn the_configuration_of_another_model_is_refused() {
    let directory = written(SEED);
    let path = directory.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"image_size\": 224", "\"image_size\": 336"),
        ("\"hidden_size\": 128", "\"hidden_size\": 192"),
        ("\"hidden_act\": \"quick_gelu\"", "\"hidden_act\": \"gelu\""),
        ("{", ""),
    ] {
        fs::write(&path, config.replacen(from, to, 1)).unwrap();
        assert_eq!(refused(directory.path()).kind(), ErrorKind::ModelInvalid, "{from} -> {to}");
    }
}

/// `config.json` of the published checkpoint carries many fields that older versions of transformers wrote, and an
/// end-of-text id of 2, which transformers itself ignores.
#[test]
fn the_published_config_is_understood() {
    let directory = written(SEED);
    let path = directory.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["transformers_version"] = serde_json::Value::Null;
    config["text_config_dict"] = serde_json::Value::Null;
    config["vision_config_dict"] = serde_json::Value::Null;
    for section in ["text_config", "vision_config"] {
        let section = config[section].as_object_mut().unwrap();
        for (field, value) in [
            ("_name_or_path", serde_json::json!("")),
            ("add_cross_attention", serde_json::json!(false)),
            ("bos_token_id", serde_json::json!(0)),
            ("eos_token_id", serde_json::json!(2)),
            ("pad_token_id", serde_json::json!(1)),
            ("dropout", serde_json::json!(0.0)),
            ("id2label", serde_json::json!({"0": "LABEL_0"})),
            ("torch_dtype", serde_json::Value::Null),
            ("task_specific_params", serde_json::Value::Null),
            ("use_bfloat16", serde_json::json!(false)),
        ] {
            section.insert(field.to_owned(), value);
        }
    }
    fs::write(&path, config.to_string()).unwrap();
    let text = Tokenizer::new().encode("a beach").unwrap();
    let found = clip::load(directory.path(), &reference()).unwrap().embed_texts(std::slice::from_ref(&text)).unwrap();
    let plain = support::standin(Size::Tiny).embed_texts(&[text]).unwrap();
    assert_eq!(found, plain);
}
