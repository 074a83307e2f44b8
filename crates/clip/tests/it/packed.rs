//! The packed file beside a checkpoint: made once, trusted only when it is whole and of this checkpoint.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use clip::standin::{self, Size};
use clip::{Embedding, Kernels, Options, Precision};
use tempfile::TempDir;

use crate::support;

/// The fast kernels' options, where the processor has any for bf16.
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
fn is_made_once_and_then_used() {
    let Some(options) = options() else { return };
    let model = model(1);
    let first = text(model.path(), &options);
    let made = fs::metadata(packed(model.path())).unwrap();
    assert_eq!(text(model.path(), &options), first);
    let after = fs::metadata(packed(model.path())).unwrap();
    assert_eq!((after.ino(), after.modified().unwrap()), (made.ino(), made.modified().unwrap()), "made twice");
    let files = fs::read_dir(model.path()).unwrap().count();
    assert_eq!(files, 3, "something unfinished was left behind");
}

#[test]
fn a_damaged_one_is_made_anew() {
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
        assert!(fs::read(&path).unwrap() == whole, "{damage}: not made anew");
    }
}

#[test]
fn another_checkpoint_in_its_place_is_noticed() {
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
    for entry in fs::read_dir(model.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let inode = |path: &Path| fs::metadata(packed(path)).unwrap().ino();
    let before = inode(copy.path());
    assert_eq!(text(copy.path(), &options), expected);
    assert_eq!(inode(copy.path()), before, "packed again, though the checkpoint is the same");
}

/// As root every directory can be written; what stands in the way there is a directory of the file's name.
#[test]
fn what_cannot_be_written_is_told_and_computed_all_the_same() {
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
fn is_made_ahead_of_time_for_who_asks() {
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
fn two_who_make_it_at_once_are_both_served() {
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
