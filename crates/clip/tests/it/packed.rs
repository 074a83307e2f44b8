//! The packed file beside a checkpoint: written once, and only used if it is complete and belongs to the checkpoint.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use clip::standin::{self, Size};
use clip::{Embedding, Kernels, Options, Precision};
use tempfile::TempDir;

use crate::support;

/// The options of the fast kernels, if the processor has any for bf16.
fn options() -> Option<Options> {
    let (precision, kernels) = support::variants().into_iter().find(|variant| variant.0 == Precision::Bf16)?;
    Some(support::options(precision, kernels, 2))
}

fn model(seed: u64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    standin::write(directory.path(), seed, Size::Tiny).unwrap();
    directory
}

fn packed(directory: &Path) -> PathBuf {
    directory.join("model.bf16.packed")
}

fn text(directory: &Path, options: &Options) -> Embedding {
    clip::load(directory, options).unwrap().embed_texts(&[vec![49_406, 320, 2368, 49_407]]).unwrap().remove(0)
}

#[test]
fn weights_are_packed_once() {
    let Some(options) = options() else { return };
    let model = model(1);
    let first = text(model.path(), &options);
    let made = fs::metadata(packed(model.path())).unwrap();
    assert_eq!(text(model.path(), &options), first);
    let after = fs::metadata(packed(model.path())).unwrap();
    assert_eq!((after.ino(), after.modified().unwrap()), (made.ino(), made.modified().unwrap()), "packed twice");
    let files = fs::read_dir(model.path()).unwrap().count();
    assert_eq!(files, 4, "something unfinished was left behind");
}

#[test]
fn a_damaged_packed_file_is_replaced() {
    let Some(options) = options() else { return };
    let model = model(1);
    let expected = text(model.path(), &options);
    let path = packed(model.path());
    let whole = fs::read(&path).unwrap();

    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 8] = [
        ("empty", |bytes| bytes.clear()),
        ("a header cut off", |bytes| bytes.truncate(100)),
        ("words cut off", |bytes| bytes.truncate(bytes.len() - 64)),
        ("words too many", |bytes| bytes.extend([0; 64])),
        ("another magic", |bytes| bytes[0] ^= 1),
        ("another version", |bytes| bytes[8] ^= 1),
        ("another checkpoint", |bytes| bytes[40] ^= 1),
        ("one bit of a weight", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
    ];
    for (damage, spoil) in damages {
        let mut bytes = whole.clone();
        spoil(&mut bytes);
        fs::write(&path, bytes).unwrap();
        assert_eq!(text(model.path(), &options), expected, "{damage}");
        assert!(fs::read(&path).unwrap() == whole, "{damage}: not replaced");
    }
}

#[test]
fn a_replaced_checkpoint_is_detected() {
    let Some(options) = options() else { return };
    let (model, other) = (model(1), model(2));
    let before = text(model.path(), &options);
    fs::copy(other.path().join("model.safetensors"), model.path().join("model.safetensors")).unwrap();
    let after = text(model.path(), &options);
    assert_ne!(after, before);
    assert_eq!(after, text(other.path(), &options));
}

#[test]
fn a_copied_checkpoint_is_known_by_its_hash() {
    let Some(options) = options() else { return };
    let (model, copy) = (model(1), tempfile::tempdir().unwrap());
    let expected = text(model.path(), &options);
    assert!(clip::is_packed(model.path(), &options).unwrap());
    for entry in fs::read_dir(model.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let inode = |path: &Path| fs::metadata(packed(path)).unwrap().ino();
    let before = inode(copy.path());
    assert!(!clip::is_packed(copy.path(), &options).unwrap(), "a copy must be hashed");
    assert_eq!(text(copy.path(), &options), expected);
    assert_eq!(inode(copy.path()), before, "packed again, though the checkpoint is the same");
    assert!(clip::is_packed(copy.path(), &options).unwrap());
}

/// A forged file with correct digests is detected by the record, and one with the same length and time by the time of its last
/// change.
#[test]
fn files_written_after_the_check_are_hashed_again() {
    let Some(options) = options() else { return };
    let model = model(1);
    let expected = text(model.path(), &options);
    let path = packed(model.path());
    let (modified, whole) = (fs::metadata(&path).unwrap().modified().unwrap(), fs::read(&path).unwrap());
    let mut spoiled = whole.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    fs::write(&path, spoiled).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert!(!clip::is_packed(model.path(), &options).unwrap());
    assert_eq!(text(model.path(), &options), expected);
    assert!(fs::read(&path).unwrap() == whole, "not written again");

    // The checkpoint alone, with length and time kept.
    let checkpoint = model.path().join("model.safetensors");
    let modified = fs::metadata(&checkpoint).unwrap().modified().unwrap();
    let mut bytes = fs::read(&checkpoint).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&0.5f32.to_le_bytes());
    fs::write(&checkpoint, bytes).unwrap();
    fs::File::options().write(true).open(&checkpoint).unwrap().set_modified(modified).unwrap();
    assert!(!clip::is_packed(model.path(), &options).unwrap());
    let engine = clip::load(model.path(), &options).unwrap();
    assert!(fs::read(&path).unwrap() != whole, "the packed file of the checkpoint before");
    assert!(engine.is_current());
}

#[test]
fn weights_written_under_a_running_engine_are_detected() {
    let Some(options) = options() else { return };
    let model = model(1);
    let engine = clip::load(model.path(), &options).unwrap();
    assert!(engine.is_current());
    let path = packed(model.path());
    // After the file is replaced, the engine keeps its weights.
    let copy = model.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert!(engine.is_current());
    let engine = clip::load(model.path(), &options).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[1], 4096).unwrap();
    assert!(!engine.is_current());
}

#[test]
fn files_that_others_may_write_are_refused() {
    let Some(options) = options() else { return };
    let model = model(1);
    let expected = text(model.path(), &options);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for name in ["", "config.json", "model.safetensors", "model.bf16.packed"] {
        let path = model.path().join(name);
        let before = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        for wider in [before | 0o020, before | 0o002] {
            mode(&path, wider);
            let error = clip::load(model.path(), &options).err().expect("a refusal");
            assert_eq!(error.kind(), clip::ErrorKind::ModelUntrusted, "{name:?}: {error}");
            assert!(error.to_string().contains(&format!("(mode {wider:04o})")), "{error}");
        }
        mode(&path, before);
        assert_eq!(text(model.path(), &options), expected);
    }
    // For a link, the target and its directory are checked.
    let (elsewhere, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["config.json", "model.safetensors"] {
        fs::rename(model.path().join(name), elsewhere.path().join(name)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join(name), links.path().join(name)).unwrap();
    }
    assert_eq!(text(links.path(), &options), expected);
    mode(elsewhere.path(), 0o777);
    let error = clip::load(links.path(), &options).err().expect("a refusal");
    assert_eq!(error.kind(), clip::ErrorKind::ModelUntrusted, "{error}");
    mode(elsewhere.path(), 0o700);
}

/// The record of a check only counts if other users cannot have written it.
#[test]
fn a_record_that_others_may_write_is_ignored() {
    let Some(options) = options() else { return };
    let model = model(1);
    text(model.path(), &options);
    assert!(clip::is_packed(model.path(), &options).unwrap());
    let record = model.path().join("model.bf16.packed.checked");
    fs::set_permissions(&record, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(!clip::is_packed(model.path(), &options).unwrap());
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    let engine = clip::load(model.path(), &options).unwrap();
    let notice = engine.info().notice.clone().expect("a notice");
    assert!(notice.contains("hashed at every start"), "{notice}");
}

/// As root every directory can be written, so a directory with the name of the file blocks it.
#[test]
fn an_unwritable_directory_is_reported_and_the_model_still_works() {
    let Some(options) = options() else { return };
    let model = model(1);
    let expected = text(model.path(), &options);
    fs::remove_file(packed(model.path())).unwrap();
    fs::create_dir(packed(model.path())).unwrap();
    fs::set_permissions(model.path(), fs::Permissions::from_mode(0o500)).unwrap();

    let mut engine = clip::load(model.path(), &options).unwrap();
    let notice = engine.info().notice.clone().expect("a notice");
    assert!(notice.contains("model.bf16.packed") && notice.contains("private memory"), "{notice}");
    assert_eq!(engine.embed_texts(&[vec![49_406, 320, 2368, 49_407]]).unwrap()[0], expected);
    assert_eq!(clip::pack(model.path(), &options).unwrap_err().kind(), clip::ErrorKind::Io);
    fs::set_permissions(model.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn weights_can_be_packed_before_loading() {
    let Some(options) = options() else { return };
    let model = model(1);
    assert_eq!(clip::pack(model.path(), &options).unwrap(), Some(packed(model.path())));
    let made = fs::metadata(packed(model.path())).unwrap().ino();
    text(model.path(), &options);
    assert_eq!(fs::metadata(packed(model.path())).unwrap().ino(), made);

    let candle = support::options(Precision::F32, Kernels::Candle, 1);
    assert_eq!(clip::pack(model.path(), &candle).unwrap(), None);
}

#[test]
fn concurrent_loads_both_succeed() {
    let Some(options) = options() else { return };
    let model = model(1);
    let start = Barrier::new(4);
    let embeddings: Vec<Embedding> = std::thread::scope(|scope| {
        let each = || {
            start.wait();
            text(model.path(), &options)
        };
        let running: Vec<_> = (0..4).map(|_| scope.spawn(each)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(embeddings.iter().all(|embedding| *embedding == embeddings[0]));
    assert_eq!(text(model.path(), &options), embeddings[0]);
}
