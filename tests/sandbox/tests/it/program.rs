//! The program: one line when it is ready, then it runs until a signal or the end of its lifeline.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::client::Client;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pinterest-sandbox"))
}

fn serve(options: &[&str]) -> (Child, Value, BufReader<ChildStdout>) {
    let mut child = program()
        .arg("serve")
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (child, ready, output)
}

#[test]
fn it_serves_until_its_lifeline_ends() {
    let (mut child, ready, _output) = serve(&["--stdin-lifeline", "--board", "Small=garden:3", "--seed", "9"]);
    let ca_file = Path::new(ready["ca_file"].as_str().expect("a path"));
    let port = ready["url"].as_str().and_then(|url| url.rsplit(':').next()).expect("a port");
    let client = Client::trusting(port.parse().expect("a number"), ca_file);
    assert_eq!(client.get("/v5/boards").status, 401);
    assert_eq!((&ready["boards"][0]["name"], &ready["boards"][0]["pins"]), (&"Small".into(), &3.into()));
    for name in ["host", "client_id", "client_secret", "redirect_uri", "username"] {
        assert!(ready[name].is_string(), "{name}");
    }
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
    assert!(client.try_get("/").is_err());
    assert!(!ca_file.exists());
}

#[test]
fn a_signal_ends_it() {
    let (mut child, _ready, _output) = serve(&["--pins", "0"]);
    let sent = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().expect("kill");
    assert!(sent.success());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn help_version_and_invalid_options() {
    let run = |arguments: &[&str]| program().args(arguments).output().expect("the program starts");
    let help = run(&["serve", "--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("--stdin-lifeline"));
    let version = run(&["--version"]);
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        concat!("pinterest-sandbox ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let mistake = run(&["serve", "--no-such-option"]);
    assert!(!mistake.status.success() && mistake.stdout.is_empty());
    assert!(String::from_utf8_lossy(&mistake.stderr).contains("--no-such-option"));
}

#[test]
fn it_draws_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("barn.png");
    let drawn = program().args(["draw", "barn"]).arg(&file).args(["--size", "60x90"]).status().expect("it starts");
    assert!(drawn.success());
    let picture = image::open(&file).expect("a picture").into_rgb8();
    assert_eq!(picture, sandbox::scene::draw(sandbox::Family::Barn, 1, 60, 90));
}
