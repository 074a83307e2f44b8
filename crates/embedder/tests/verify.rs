//! `pinterest-embedder verify`: it fails on untrained, damaged and foreign weights and says why, and it can be passed.

#[path = "support/checkpoint.rs"]
mod checkpoint;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::LazyLock;

use checkpoint::Checkpoint;
use clip::Limits;
use serde_json::Value;
use support::program;
use tempfile::TempDir;

/// A photo of the right size, which is taken for the published one.
static PHOTO: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let photo =
        image::RgbImage::from_fn(640, 480, |x, y| image::Rgb([(x / 3) as u8, (y / 2) as u8, ((x + y) / 5) as u8]));
    let mut png = std::io::Cursor::new(vec![]);
    photo.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
});

/// The files of a rigged model.
static RIGGED: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    support::init_model(directory.path());
    rig::rig(directory.path(), &clip::preprocess(&PHOTO, &Limits::default()).unwrap());
    directory
});

/// A copy of the rigged model to damage.
fn rigged() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(RIGGED.path().join(file), copy.path().join(file)).unwrap();
    }
    copy
}

/// In f32: rounding to bf16 costs a model of this size more than the published figures allow.
fn verify(model: &Path, more: &[&str]) -> Output {
    program()
        .args(["verify", "--precision", "f32", "--threads", "1", "--model"])
        .arg(model)
        .args(more)
        .output()
        .unwrap()
}

/// The outcome of each check, as `name outcome`, without repetitions, and the verdict.
fn outcomes(output: &Output) -> (Vec<String>, String) {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let mut checks: Vec<String> = Vec::new();
    for check in report["checks"].as_array().unwrap() {
        let line = format!("{} {}", check["name"].as_str().unwrap(), check["outcome"].as_str().unwrap());
        if !checks.contains(&line) {
            checks.push(line);
        }
    }
    assert_eq!(report["verified"].as_bool().unwrap(), output.status.success());
    assert_eq!(output.status.success(), !checks.iter().any(|check| check.ends_with("failed")), "{checks:?}");
    (checks, report["verdict"].as_str().unwrap().to_owned())
}

/// What the model with this change fails in, and the verdict.
fn failures(change: impl FnOnce(&mut Checkpoint)) -> (Vec<String>, String) {
    let model = rigged();
    let mut checkpoint = Checkpoint::read(model.path());
    change(&mut checkpoint);
    checkpoint.write(model.path());
    failures_of(&verify(model.path(), &["--json"]))
}

fn failures_of(output: &Output) -> (Vec<String>, String) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let (checks, verdict) = outcomes(output);
    let failed = checks.iter().filter_map(|check| check.strip_suffix(" failed"));
    (failed.map(str::to_owned).collect(), verdict)
}

#[test]
fn the_stand_in_fails_as_untrained() {
    for seed in ["1", "2", "3"] {
        let model = tempfile::tempdir().unwrap();
        let made = program().args(["init-model", "--tiny", "--seed", seed]).arg(model.path()).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let (failed, verdict) = failures_of(&verify(model.path(), &["--json"]));
        assert_eq!(failed, ["training", "hello world", "texts", "pictures"]);
        assert!(verdict.starts_with("These weights are not trained"), "{verdict}");
    }
    // As a table, in the precision of this machine.
    let output = program().args(["verify", "--model"]).arg(support::model()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["ok       weights ", "failed   training ", "failed   hello world ", "skipped  cats "] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{text}");
    }
    assert!(text.contains("published 0.0083 0.0103 -0.0138 0.0199 -0.0069"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("These weights are not trained"), "{text}");
    // The reference checks the kernels.
    assert!(text.contains("f32 by candle: "), "{text}");
}

#[test]
fn a_model_with_the_right_figures_passes() {
    let photo = RIGGED.path().join("photo.png");
    fs::write(&photo, &*PHOTO).unwrap();
    for name in ["--picture", "--image"] {
        let output = verify(RIGGED.path(), &["--json", name, photo.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let (checks, verdict) = outcomes(&output);
        let expected =
            ["weights ok", "vocabulary ok", "training ok", "hello world ok", "texts ok", "pictures ok", "cats ok"];
        assert_eq!(checks, expected);
        assert!(verdict.contains("trained weights of openai/clip-vit-base-patch32"), "{verdict}");
    }
    let (checks, _) = outcomes(&verify(RIGGED.path(), &["--json"]));
    assert!(checks.contains(&"cats skipped".to_owned()), "{checks:?}");
}

#[test]
fn another_image_is_recognised() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.png");
    let with = |photo: &image::RgbImage| {
        photo.save(&file).unwrap();
        failures_of(&verify(RIGGED.path(), &["--json", "--picture", file.to_str().unwrap()]))
    };
    let (failed, verdict) = with(&image::RgbImage::from_pixel(640, 480, image::Rgb([200, 100, 50])));
    assert_eq!(failed, ["cats"]);
    assert!(verdict.starts_with("The texts are as published, but the image is not"), "{verdict}");
    assert_eq!(with(&image::RgbImage::new(480, 640)).0, ["cats"]);

    fs::write(&file, "no image").unwrap();
    assert_eq!(failures_of(&verify(RIGGED.path(), &["--json", "--picture", file.to_str().unwrap()])).0, ["cats"]);
    let absent = verify(RIGGED.path(), &["--picture", "/nowhere/photo.jpg"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8(absent.stderr).unwrap().contains("/nowhere/photo.jpg"));
}

#[test]
fn damaged_weights_are_named() {
    let (failed, verdict) = failures(|checkpoint| {
        checkpoint.change(
            "vision_model.encoder.layers.1.mlp.fc1.weight",
            |index, value| if index == 77 { f32::NAN } else { value },
        );
    });
    assert_eq!(failed[0], "weights");
    assert!(verdict.starts_with("The weights are damaged"), "{verdict}");

    let (failed, verdict) = failures(|checkpoint| checkpoint.change("text_projection.weight", |_, _| 0.0));
    assert_eq!(failed[0], "weights");
    assert!(verdict.starts_with("The weights are damaged"), "{verdict}");

    let model = rigged();
    let path = model.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let (failed, verdict) = failures_of(&verify(model.path(), &["--json"]));
    assert_eq!(failed, ["weights"]);
    assert!(verdict.starts_with("The weights cannot be read"), "{verdict}");

    fs::remove_file(&path).unwrap();
    assert_eq!(failures_of(&verify(model.path(), &["--json"])).0, ["weights"]);
}

#[test]
fn tensors_in_the_wrong_place_are_noticed() {
    for tower in ["text_model", "vision_model"] {
        let (failed, verdict) = failures(|checkpoint| checkpoint.swap_layers(tower, 0, 1));
        let expected: &[&str] = match tower {
            "text_model" => &["hello world", "texts", "pictures"],
            _ => &["pictures"],
        };
        assert_eq!(failed, expected);
        let sentence = match tower {
            "text_model" => "The weights bear marks of training, but do not compute",
            _ => "The texts begin as published, but",
        };
        assert!(verdict.starts_with(sentence), "{verdict}");
    }
}

#[test]
fn another_trained_model_is_not_taken_for_the_published_one() {
    // The same meaning in another basis.
    let (failed, verdict) = failures(|checkpoint| {
        for (projection, width) in [("text_projection.weight", 64), ("visual_projection.weight", 128)] {
            checkpoint
                .change(projection, |index, value| if (index / width).is_multiple_of(2) { value } else { -value });
        }
    });
    assert_eq!(failed, ["hello world"]);
    assert!(verdict.starts_with("The weights are trained, but are not those of"), "{verdict}");
}

#[test]
fn right_figures_outweigh_missing_marks() {
    let model = rigged();
    let mut checkpoint = Checkpoint::read(model.path());
    checkpoint.change("logit_scale", |_, _| 2.6592);
    checkpoint.write(model.path());
    // The rigged model has 3 of 5 marks.
    let output = verify(model.path(), &["--json"]);
    assert!(output.status.success(), "{output:?}");
    assert!(outcomes(&output).0.contains(&"training note".to_owned()));
}

#[test]
fn another_models_vocabulary_is_noticed() {
    let model = rigged();
    fs::write(model.path().join("vocab.json"), r#"{"hello</w>": 1}"#).unwrap();
    let (failed, verdict) = failures_of(&verify(model.path(), &["--json"]));
    assert_eq!(failed, ["vocabulary"]);
    assert!(verdict.contains("the vocabulary beside them is of another model"), "{verdict}");
}

#[test]
fn loading_tells_untrained_weights() {
    let notice = |model: &Path| {
        let output = program().args(["info", "--json", "--model"]).arg(model).output().unwrap();
        let info: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        info["notice"].as_str().unwrap_or_default().to_owned()
    };
    assert!(notice(support::model()).starts_with(embedder::Model::UNTRAINED));
    assert_eq!(notice(RIGGED.path()), "");
}
