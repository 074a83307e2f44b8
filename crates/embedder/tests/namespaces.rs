//! Embedders in network namespaces of their own, connected by lines that are cut. Requires the feature
//! `fault-injection`, and the right to make namespaces; skipped without it.

#[path = "support/machines.rs"]
mod machines;
mod support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use embedder::{Animations, Client, Input, MemberState};
use machines::{Authority, Machine, await_states, ip};
use support::picture;
use tokio::task::JoinSet;

const READY: MemberState = MemberState::Ready;
const GONE: MemberState = MemberState::Unreachable;

/// Runs a test of this file again, in namespaces where this user may do all and `pool.internal` has three addresses; true
/// inside.
fn in_namespace(test: &str) -> bool {
    const MARK: &str = "PINTEREST_TEST_IN_NAMESPACE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let hosts = tempfile::NamedTempFile::new().unwrap();
    let names = (1..=3).map(|number| format!("10.77.{number}.2 pool.internal\n"));
    fs::write(&hosts, names.chain(["127.0.0.1 localhost\n".to_owned()]).collect::<String>()).unwrap();
    let script = "mount --bind \"$1\" /etc/hosts && shift && ip link set lo up && ip link add v0 type veth peer name p0 \
                  && ip link delete v0 && exec \"$@\"";
    let unshare = |command: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(hosts.path()).args(command);
        unshare.env(MARK, "1").output()
    };
    match unshare(&["true"]) {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            eprintln!("skipped: no network namespaces: {}", String::from_utf8_lossy(&output.stderr).trim());
            return false;
        }
        Err(error) => {
            eprintln!("skipped: no network namespaces: unshare: {error}");
            return false;
        }
    }
    let own = std::env::current_exe().unwrap();
    let output = unshare(&[own.to_str().unwrap(), "--exact", test, "--nocapture"]).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
    false
}

async fn work(client: &Client, count: u8) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let client = client.clone();
        tasks.spawn(async move {
            let input = Input::Image(picture(number).into(), Animations::FirstFrame);
            client.embed(input, Duration::from_secs(30)).await.unwrap();
        });
    }
    tasks.join_next().await.unwrap().unwrap();
    tasks
}

#[tokio::test]
async fn a_name_of_three_machines_whose_lines_are_cut() {
    if !in_namespace("a_name_of_three_machines_whose_lines_are_cut") {
        return;
    }
    let authority = Authority::new();
    let wait = Duration::from_millis(10);
    let mut far: Vec<Machine> = (1..=3)
        .map(|number| {
            let options = authority.options(&format!("far{number}"), &["pool.internal"]);
            Machine::in_namespace(number, &options, wait)
        })
        .collect();
    let mut options = authority.options("near", &["db1.internal"]);
    options.extend(["--embedder-timeout", "1"].map(str::to_owned));
    // One name, which has their three addresses.
    let near = Machine::spreading("pool.internal", &options);
    let client = near.client_when(&[READY; 3]).await;
    let members = client.embedders().await.unwrap();
    let of = |number: usize| {
        let address = format!("10.77.{number}.2:7433");
        members.iter().position(|member| member.address == address).unwrap()
    };

    work(&client, 60).await.join_all().await;
    assert!(client.embedders().await.unwrap().iter().all(|member| member.images > 0));

    // Cut off: nothing comes back, not even a refusal.
    let tasks = work(&client, 90).await;
    ip("link set v1 down");
    tasks.join_all().await;
    let mut states = [READY; 3];
    states[of(1)] = GONE;
    await_states(&client, &states).await;
    ip("link set v1 up");
    await_states(&client, &[READY; 3]).await;

    // A machine that ends without a word, and its line with it.
    let tasks = work(&client, 90).await;
    far[2].kill();
    tasks.join_all().await;
    let mut states = [READY; 3];
    states[of(3)] = GONE;
    await_states(&client, &states).await;
    far[2].restart();
    await_states(&client, &[READY; 3]).await;
}
