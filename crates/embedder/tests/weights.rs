//! `pgvector_setup/clip-weights`: downloads, copies, checks and proves. A server of this test's takes the place of the model
//! hub, and the stand-in that of the trained weights, so that the proof must fail.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use support::model;
use tempfile::TempDir;

const TOOLS: [&str; 4] = ["bash", "curl", "sha256sum", "od"];

/// Whether the script's tools are here; prints which are not.
fn tools_are_here() -> bool {
    let missing: Vec<_> =
        TOOLS.into_iter().filter(|tool| Command::new(tool).arg("--version").output().is_err()).collect();
    if !missing.is_empty() {
        println!("skipped: {} not installed", missing.join(", "));
    }
    missing.is_empty()
}

fn script() -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pgvector_setup/clip-weights");
    let mut command = Command::new("bash");
    command.arg(path).env("PINTEREST_EMBEDDER", env!("CARGO_BIN_EXE_pinterest-embedder"));
    // No name of a proxy applies to this machine.
    command.env("no_proxy", "*").env_remove("HF_ENDPOINT");
    command
}

/// Standard output and standard error.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn fails(command: &mut Command, sentences: &[&str]) {
    let output = command.output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for sentence in sentences {
        assert!(said.contains(sentence), "{sentence:?} is not in: {said}");
    }
}

fn files_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// How a hub behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It resumes downloads, and closes the first connection to each file after half of it.
    Interrupted,
    /// It does not resume.
    Forgetful,
    /// It answers every request with an error.
    Broken,
}

/// A model hub with the stand-in.
struct Hub {
    address: String,
    /// Requests, as path and first byte.
    requests: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Hub {
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that leaves is none of the hub's business.
                let _ = answer(stream.unwrap(), manner, &seen);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<(String, usize)> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, manner: Manner, seen: &Mutex<Vec<(String, usize)>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    let mut first = 0;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            first = range.trim_end_matches('-').parse().unwrap();
        }
    }
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let name = path.rsplit('/').next().unwrap().to_owned();
    let is_first = {
        let mut seen = seen.lock().unwrap();
        let is_first = seen.iter().all(|(other, _)| *other != path);
        seen.push((path.clone(), first));
        is_first
    };
    let expected = "/openai/clip-vit-base-patch32/resolve/b33cedfd0df4e43b8238760678fcc89e1a0d38b3/";
    let file = match path.starts_with(expected) && manner != Manner::Broken {
        true => fs::read(model().join(&name)).ok(),
        false => None,
    };
    let Some(file) = file else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (status, body) = match first {
        0 => ("200 OK".to_owned(), &file[..]),
        _ if manner == Manner::Forgetful => ("200 OK".to_owned(), &file[..]),
        _ if first >= file.len() => {
            return stream
                .write_all(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        _ => (
            format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{}", file.len() - 1, file.len()),
            &file[first..],
        ),
    };
    stream.write_all(
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).as_bytes(),
    )?;
    let sent = if manner == Manner::Interrupted && is_first { body.len() / 2 } else { body.len() };
    stream.write_all(&body[..sent])
}

fn target() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("models/clip");
    (directory, target)
}

#[test]
fn an_interrupted_download_is_resumed_and_then_disproved() {
    if !tools_are_here() {
        return;
    }
    let hub = Hub::start(Manner::Interrupted);
    let (_directory, target) = target();
    let with = |more: &[&str]| {
        let mut command = script();
        command.env("HF_ENDPOINT", &hub.address).arg("--any").args(more).arg(&target);
        command
    };
    // One run per lost connection: each resumes where the last one stopped.
    fails(&mut with(&[]), &["could not download config.json", "run this again to resume"]);
    fails(&mut with(&[]), &["config.json: in place", "could not download model.safetensors"]);
    let half = fs::metadata(target.join("model.safetensors.part")).unwrap().len() as usize;
    assert!(half > 1_000_000, "{half}");
    fails(&mut with(&[]), &["packing", "proving", "These weights are not trained", "are not right; see above"]);
    assert_eq!(hub.requests().last().unwrap().1, half);
    for file in ["config.json", "model.safetensors"] {
        assert!(fs::read(target.join(file)).unwrap() == fs::read(model().join(file)).unwrap(), "{file}");
        assert!(!target.join(format!("{file}.part")).exists());
    }

    // Everything is there: no further request, unless the published files are asked for.
    let before = hub.requests().len();
    let output = with(&["--no-verify"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("set pinterest.model_dir = '"), "{}", said(&output));
    fails(script().env("HF_ENDPOINT", &hub.address).arg(&target), &["config.json has", "bytes, expected 4186"]);
    assert_eq!(hub.requests().len(), before);
}

#[test]
fn a_server_that_cannot_resume_is_asked_for_the_whole() {
    if !tools_are_here() {
        return;
    }
    let hub = Hub::start(Manner::Forgetful);
    let (_directory, target) = target();
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join("model.safetensors.part"), "the beginning of something").unwrap();
    let output =
        script().env("HF_ENDPOINT", &hub.address).args(["--any", "--no-verify"]).arg(&target).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(files_in(&target), ["config.json", "model.safetensors"]);
    assert!(said(&output).contains("starting again"), "{}", said(&output));
}

#[test]
fn files_that_are_not_the_published_ones_are_refused() {
    if !tools_are_here() {
        return;
    }
    let hub = Hub::start(Manner::Forgetful);
    let (directory, target) = target();
    let get = || {
        let mut command = script();
        command.env("HF_ENDPOINT", &hub.address).arg(&target);
        command
    };
    fails(&mut get(), &["config.json has", "bytes, expected 4186; it was removed"]);
    assert!(files_in(&target).is_empty());
    // The right size and the wrong content.
    fs::write(target.join("config.json"), format!("{{{}}}", " ".repeat(4184))).unwrap();
    fails(&mut get(), &["config.json has SHA-256", "expected b575ef3c36f2a057"]);
    fs::remove_dir_all(&target).unwrap();

    let broken = Hub::start(Manner::Broken);
    fails(get().env("HF_ENDPOINT", &broken.address), &["it answered with an error", "--from DIR", "init-model"]);
    fails(get().env("HF_ENDPOINT", "http://127.0.0.1:9"), &["it refuses connections"]);
    // Without encryption only on this machine.
    fails(get().env("HF_ENDPOINT", "http://192.0.2.1"), &["could not download config.json"]);
    drop(directory);
}

#[test]
fn files_at_hand_are_copied_without_a_network() {
    if !tools_are_here() {
        return;
    }
    let (directory, target) = target();
    let copy = |from: &Path, more: &[&str]| {
        let mut command = script();
        command.env("HF_ENDPOINT", "https://192.0.2.1").arg("--from").arg(from).args(more).arg(&target);
        command
    };
    // As in the cache of a hub: links to files elsewhere.
    let cache = directory.path().join("cache");
    fs::create_dir(&cache).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::os::unix::fs::symlink(model().join(file), cache.join(file)).unwrap();
    }
    fails(&mut copy(&cache, &["--any"]), &["copying from", "These weights are not trained"]);
    assert!(!target.join("model.safetensors").is_symlink());
    // Packed once, and the record of the check.
    assert!(files_in(&target).len() <= 4, "{:?}", files_in(&target));
    fs::remove_dir_all(&target).unwrap();

    let damage = |file: &str, content: &[u8]| {
        fs::remove_file(cache.join(file)).unwrap();
        fs::write(cache.join(file), content).unwrap();
    };
    let weights = fs::read(model().join("model.safetensors")).unwrap();
    damage("model.safetensors", &weights[..weights.len() - 4000]);
    fails(&mut copy(&cache, &["--any"]), &["could not pack the weights"]);
    fs::remove_dir_all(&target).unwrap();
    damage("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:99\nsize 605157884\n");
    fails(&mut copy(&cache, &["--any"]), &["model.safetensors is a pointer of Git LFS"]);
    damage("model.safetensors", b"<html>please sign in</html>");
    fails(&mut copy(&cache, &["--any"]), &["model.safetensors is not a safetensors file"]);
    fs::rename(cache.join("model.safetensors"), cache.join("pytorch_model.bin")).unwrap();
    fails(&mut copy(&cache, &["--any"]), &["only pytorch_model.bin, which is another format"]);
    fs::remove_file(target.join("config.json")).unwrap();
    damage("config.json", b"<html>");
    fails(&mut copy(&cache, &["--any"]), &["config.json is not JSON"]);
    fails(&mut copy(Path::new("/nowhere"), &[]), &["/nowhere is not a directory"]);
}

#[test]
fn the_command_line() {
    if !tools_are_here() {
        return;
    }
    let help = script().arg("--help").output().unwrap();
    assert!(help.status.success() && said(&help).contains("--from DIR") && said(&help).contains("Exit status"));
    for wrong in [&["--from"][..], &["--nothing", "x"], &["x", "y"]] {
        assert_eq!(script().args(wrong).output().unwrap().status.code(), Some(2), "{wrong:?}");
    }
    let (_directory, target) = target();
    fails(script().env("PINTEREST_EMBEDDER", "/nowhere/program").arg(&target), &["/nowhere/program is not a program"]);
    assert!(!target.exists());
}
