//! The command line.

mod support;

use std::io::Write;
use std::process::{Output, Stdio};

use embedder::{Animations, Client};
use serde_json::Value;
use support::{Supervisor, picture, program};

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child =
        program().args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn embedding(line: &Value) -> Vec<f32> {
    serde_json::from_value(line["embedding"].clone()).unwrap()
}

fn model() -> &'static str {
    support::model().to_str().unwrap()
}

#[test]
fn every_file_gets_a_line_and_one_failure_sets_the_status() {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = vec!["embed".to_owned(), "--model".to_owned(), model().to_owned()];
    for number in 0..10 {
        let path = directory.path().join(format!("{number}.png"));
        let content = match number {
            4 => b"not a picture".to_vec(),
            _ => picture(number),
        };
        std::fs::write(&path, content).unwrap();
        arguments.push(path.to_str().unwrap().to_owned());
    }
    arguments.push(directory.path().join("absent.png").to_str().unwrap().to_owned());
    let output = program().args(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert_eq!(lines.len(), 11);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["name"], arguments[3 + number]);
        match number {
            4 => assert!(line["error"].as_str().unwrap().contains("JPEG"), "{line}"),
            10 => assert!(line["error"].as_str().unwrap().contains("No such file"), "{line}"),
            _ => assert_eq!(embedding(line).len(), 512),
        }
        assert_eq!(line.as_object().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn printed_numbers_equal_the_servers_to_the_last_bit() {
    let server = Supervisor::start(&[]);
    let client = Client::connect(&server.socket()).await.unwrap();

    let served = client.embed_image(picture(3), Animations::FirstFrame).await.unwrap();
    let output = run_with_input(&["embed", "--threads", "1", "--model", model(), "-"], &picture(3));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(embedding(&lines(&output)[0]), *served.vector);

    let served = client.embed_text("a barn").await.unwrap();
    let output = run(&["embed", "--threads", "1", "--model", model(), "--text", "a barn"]);
    assert_eq!(output.status.code(), Some(0));
    let line = &lines(&output)[0];
    assert_eq!(line["name"], "a barn");
    assert_eq!(embedding(line), *served.vector);
}

#[test]
fn texts_come_from_arguments_and_lines() {
    let arguments = ["embed", "--model", model(), "--text", "first", "-", "last", " "];
    let output = run_with_input(&arguments, "second\nthird\n".as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let names: Vec<_> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "second", "third", "last", " "]);
    assert!(lines[4]["error"].is_string());
    assert!(lines[..4].iter().all(|line| line["embedding"].is_array()));
}

#[test]
fn a_model_is_replaced_only_by_force() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("deep/model");
    let model = model.to_str().unwrap();
    let make = |seed: &str, more: &[&str]| {
        let output = program().args(["init-model", model, "--tiny", "--seed", seed]).args(more).output().unwrap();
        output.status.code()
    };
    let digest = || {
        let output = run(&["info", "--json", "--model", model]);
        assert_eq!(output.status.code(), Some(0));
        lines(&output)[0]["weights_sha256"].as_str().unwrap().to_owned()
    };
    assert_eq!(make("1", &[]), Some(0));
    let first = digest();
    assert_eq!(make("2", &[]), Some(1));
    assert_eq!(digest(), first);
    assert_eq!(make("2", &["--force"]), Some(0));
    assert_ne!(digest(), first);
    assert_eq!(make("1", &["--force"]), Some(0));
    assert_eq!(digest(), first);
}

#[test]
fn info_prints_text_and_json() {
    let output = run(&["info", "--model", model()]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line == "dimension       512"), "{text}");
}

#[test]
fn weights_are_packed_ahead_of_time() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().to_str().unwrap();
    support::init_model(directory.path());
    let files = || std::fs::read_dir(directory.path()).unwrap().count();
    let before = files();

    // candle has nothing to pack, on any processor.
    let output = run(&["pack", "--model", model, "--precision", "f32", "--kernels", "candle"]);
    assert_eq!((output.status.code(), output.stdout.len(), files()), (Some(0), 0, before));

    let output = run(&["pack", "--model", model]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let path = String::from_utf8(output.stdout).unwrap();
    match path.trim_end() {
        "" => assert_eq!(files(), before),
        path => {
            assert_eq!(std::path::Path::new(path).parent(), Some(directory.path()));
            let made = std::fs::metadata(path).unwrap().modified().unwrap();
            // Loading finds it and does not change it.
            assert_eq!(run(&["info", "--model", model]).status.code(), Some(0));
            // The packed file, and the record that it was checked.
            assert_eq!(files(), before + 2);
            assert_eq!(std::fs::metadata(path).unwrap().modified().unwrap(), made);
        }
    }
}

#[test]
fn a_missing_model_is_one_message() {
    let output = run(&["embed", "--model", "/nowhere", "photo.jpg"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("/nowhere/config.json") && message.lines().count() == 1, "{message}");
}

/// In the sandbox the process cannot get its working directory.
#[test]
fn a_relative_model_directory_is_found() {
    let directory = support::model();
    let (parent, name) = (directory.parent().unwrap(), directory.file_name().unwrap());
    let output =
        program().current_dir(parent).args(["embed", "--text", "a barn", "--model"]).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_help_of_every_command_has_examples() {
    for command in [&[][..], &["embed"], &["info"], &["init-model"], &["pack"], &["serve"], &["verify"]] {
        let output = program().args(command).arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Examples:\n  pinterest-embedder"), "{text}");
    }
    let version = run(&["--version"]);
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        format!("pinterest-embedder {}\n", env!("CARGO_PKG_VERSION"))
    );
    for wrong in [&[][..], &["embed"], &["serve", "--model", "x"], &["embed", "--model", "x", "f", "--text", "t"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
