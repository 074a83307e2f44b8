//! Embedders on several machines: what is spread over them, and what happens when one of them is lost, slow or wrong. Requires
//! the feature `fault-injection`.

#[path = "support/machines.rs"]
mod machines;
mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use embedder::{Animations, Client, Embedded, Error, ErrorKind, Input, MemberState};
use machines::{Authority, Line, Machine, Relay, await_states, status};
use rustix::process::{Signal, kill_process};
use support::{cosine, init_model, picture};
use tokio::task::JoinSet;

const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
const READY: MemberState = MemberState::Ready;

/// A directory of the relevant options, and an authority that all trust.
struct World {
    authority: Authority,
    near: Vec<String>,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let mut near = authority.options("near", &["db1.internal"]);
        near.extend(["--embedder-timeout", "1"].map(str::to_owned));
        Self { authority, near }
    }

    /// A server on another machine.
    fn far(&self, number: usize) -> Machine {
        Machine::serving(&self.options_of(number))
    }

    /// The same, of which each image takes this time.
    fn slow(&self, number: usize, wait: Duration) -> Machine {
        Machine::serving_model(support::model(), &self.options_of(number), wait)
    }

    fn options_of(&self, number: usize) -> Vec<String> {
        self.authority.options(&format!("far{number}"), &NAMES)
    }

    fn near(&self, embedders: &[&Machine]) -> Machine {
        let list: Vec<String> = embedders.iter().map(|machine| machine.address.unwrap().to_string()).collect();
        Machine::spreading(&list.join(", "), &self.near)
    }
}

async fn embed(client: &Client, image: impl Into<Bytes>) -> Result<Embedded, Error> {
    client.embed(Input::Image(image.into(), Animations::FirstFrame), Duration::from_secs(30)).await
}

/// Sends pictures, at most this many at the same time.
struct Work {
    tasks: JoinSet<Result<Embedded, Error>>,
}

impl Work {
    fn of(client: &Client, count: usize) -> Self {
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let client = client.clone();
            tasks.spawn(async move { embed(&client, picture(number as u8)).await });
        }
        Self { tasks }
    }

    /// Waits for one answer.
    async fn one(&mut self) {
        self.tasks.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Waits for the rest; each has to be an embedding.
    async fn all(mut self) {
        while let Some(answer) = self.tasks.join_next().await {
            answer.unwrap().unwrap();
        }
    }
}

fn fault(word: &str) -> String {
    format!("PINTEREST-EMBEDDER-FAULT:{word}")
}

#[tokio::test]
async fn work_is_spread_and_the_vectors_are_the_same() {
    let world = World::new();
    let wait = Duration::from_millis(5);
    let far = [world.slow(1, wait), world.slow(2, wait)];
    let near = world.near(&[&far[0], &far[1]]);
    let client = near.client_when(&[READY, READY]).await;
    Work::of(&client, 60).all().await;
    let members = client.embedders().await.unwrap();
    assert!(members.iter().all(|member| member.images >= 10 && member.failures == 0), "{members:#?}");
    assert_eq!(members.iter().map(|member| member.images).sum::<u64>(), 60);

    let direct = Client::connect(&support::Supervisor::start(&[]).socket()).await;
    drop(direct);
    let alone = support::Supervisor::start(&[]);
    let direct = Client::connect(&alone.socket()).await.unwrap();
    for number in [3, 4] {
        let (here, there) =
            (embed(&direct, picture(number)).await.unwrap(), embed(&client, picture(number)).await.unwrap());
        assert_eq!(here.model, there.model);
        assert!(cosine(&here.vector[..], &there.vector[..]) > 0.999_999);
    }
    let here = direct.embed_text("a barn").await.unwrap();
    let there = client.embed_text("a barn").await.unwrap();
    assert!(cosine(&here.vector[..], &there.vector[..]) > 0.999_999);
    assert!(!client.thumbnail(picture(1), 100, Duration::ZERO).await.unwrap().is_empty());
    // An input's fault stays the input's, also after a second opinion.
    assert_eq!(embed(&client, "no picture").await.unwrap_err().kind(), ErrorKind::UnsupportedFormat);
    assert_eq!(client.embed_text("").await.unwrap_err().kind(), ErrorKind::EmptyText);
}

#[tokio::test]
async fn a_killed_machine_costs_no_picture_and_comes_back() {
    let world = World::new();
    let wait = Duration::from_millis(20);
    let (mut lost, kept) = (world.slow(1, wait), world.slow(2, wait));
    let near = world.near(&[&lost, &kept]);
    let client = near.client_when(&[READY, READY]).await;
    let mut work = Work::of(&client, 80);
    work.one().await;
    lost.kill();
    work.all().await;
    await_states(&client, &[MemberState::Unreachable, READY]).await;
    lost.restart();
    let members = await_states(&client, &[READY, READY]).await;
    assert!(members[0].failures > 0);
}

#[tokio::test]
async fn a_machine_that_hangs_costs_the_time_out_once() {
    let world = World::new();
    let wait = Duration::from_millis(5);
    let (hung, kept) = (world.slow(1, wait), world.slow(2, wait));
    let near = world.near(&[&hung, &kept]);
    let client = near.client_when(&[READY, READY]).await;
    let mut work = Work::of(&client, 60);
    work.one().await;
    hung.signal(Signal::STOP);
    work.all().await;
    await_states(&client, &[MemberState::Unreachable, READY]).await;
    // It is known to hang: nothing waits for it again.
    let begun = Instant::now();
    Work::of(&client, 20).all().await;
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    hung.signal(Signal::CONT);
    await_states(&client, &[READY, READY]).await;
}

#[tokio::test]
async fn a_broken_line_costs_no_picture() {
    let world = World::new();
    let wait = Duration::from_millis(10);
    let far = [world.slow(1, wait), world.slow(2, wait)];
    let relay = Relay::to(far[0].address.unwrap()).await;
    let list = format!("{}, {}", relay.address, far[1].address.unwrap());
    let near = Machine::spreading(&list, &world.near);
    let client = near.client_when(&[READY, READY]).await;
    for line in [Line::Mute, Line::Corrupts, Line::Closes] {
        let mut work = Work::of(&client, 60);
        work.one().await;
        relay.set(line);
        work.all().await;
        await_states(&client, &[MemberState::Unreachable, READY]).await;
        relay.set(Line::Passes);
        await_states(&client, &[READY, READY]).await;
    }
}

#[tokio::test]
async fn texts_go_to_the_nearest() {
    let world = World::new();
    let far = [world.far(1), world.far(2)];
    let relay = Relay::to(far[0].address.unwrap()).await;
    let list = format!("{}, {}", relay.address, far[1].address.unwrap());
    relay.set(Line::Slow);
    let near = Machine::spreading(&list, &world.near);
    let client = near.client_when(&[READY, READY]).await;
    for number in 0..20 {
        client.embed_text(format!("a barn {number}")).await.unwrap();
    }
    let members = client.embedders().await.unwrap();
    assert!(members[0].round_trip_microseconds > 50_000, "{members:#?}");
    assert_eq!((members[0].texts, members[1].texts), (0, 20), "{members:#?}");
    // Images are many: both work on them.
    Work::of(&client, 40).all().await;
    let members = client.embedders().await.unwrap();
    assert!(members.iter().all(|member| member.images > 0), "{members:#?}");
}

#[tokio::test]
async fn certificates_of_another_authority_are_refused_on_both_sides() {
    let (world, other) = (World::new(), World::new());
    let far = world.far(1);
    // The server is not trusted, and would not trust the client.
    let stranger = other.near(&[&far]);
    let client = stranger.client_when(&[MemberState::Unreachable]).await;
    assert_eq!(embed(&client, picture(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let problem = client.embedders().await.unwrap().remove(0).problem.unwrap();
    assert!(problem.contains("certificate"), "{problem}");

    // The server is trusted, but not the client.
    let mut mixed = other.near.clone();
    let authority = mixed.iter().position(|option| option == "--tls-ca").unwrap() + 1;
    mixed[authority] = world.authority.path("near.ca").to_str().unwrap().to_owned();
    let stranger = Machine::spreading(&far.address.unwrap().to_string(), &mixed);
    stranger.client_when(&[MemberState::Unreachable]).await;
    assert!(far.log().contains("refused a connection"), "{}", far.log());

    // The right authority and another name.
    let misnamed = Machine::serving(&world.authority.options("far2", &["gpu2.internal"]));
    let near = world.near(&[&misnamed]);
    let client = near.client_when(&[MemberState::Unreachable]).await;
    let problem = client.embedders().await.unwrap().remove(0).problem.unwrap();
    assert!(problem.contains("not valid for name"), "{problem}");
}

#[tokio::test]
async fn replaced_certificates_are_read_without_a_restart() {
    let (world, next) = (World::new(), Authority::new());
    let far = world.far(1);
    let mut near = world.near(&[&far]);
    near.client_when(&[READY]).await;
    // Files that are wrong leave the former ones in force.
    std::fs::write(world.authority.path("far1.pem"), "no certificate").unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !far.log().contains("the replaced TLS files are not used") {
        assert!(Instant::now() < until, "{}", far.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    near.kill();
    near.restart();
    near.client_when(&[READY]).await;
    // All files are those of another authority.
    world.authority.overwrite_from(&next, "far1", &NAMES);
    while !far.log().contains("read the replaced certificate") {
        assert!(Instant::now() < until, "{}", far.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    near.kill();
    near.restart();
    near.client_when(&[MemberState::Unreachable]).await;
    world.authority.overwrite_from(&next, "near", &["db1.internal"]);
    near.client_when(&[READY]).await;
    assert!(!near.log().contains("PRIVATE"), "{}", near.log());
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let options = world.options_of(1);
    std::fs::set_permissions(world.authority.path("far1.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = support::program()
        .args(["serve", "--listen", "127.0.0.1:0", "--model"])
        .arg(support::model())
        .args(&options)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("far1.key") && text.contains("chmod 0600"), "{text}");
}

#[tokio::test]
async fn an_embedder_with_other_weights_is_shown_and_not_used() {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let weights = directory.path().join("model");
    let made = support::program().args(["init-model", "--seed", "8", "--tiny"]).arg(&weights).output().unwrap();
    assert!(made.status.success());
    let other = Machine::serving_model(&weights, &world.options_of(1), Duration::ZERO);
    let same = world.far(2);
    let list = format!("{}, local, {}", other.address.unwrap(), same.address.unwrap());
    let near = Machine::spreading(&list, &world.near);
    let client = near.client_when(&[READY, MemberState::OtherModel, READY]).await;
    Work::of(&client, 40).all().await;
    let members = client.embedders().await.unwrap();
    assert_eq!((members[0].name.as_str(), members[1].images), ("local", 0));
    assert_ne!(members[1].fingerprint, members[0].fingerprint);
    assert!(members[1].problem.as_ref().unwrap().starts_with("its model is "), "{members:#?}");
    // The weights are replaced by the right ones.
    init_model(&weights);
    kill_process(other.embedder(), Signal::TERM).unwrap();
    await_states(&client, &[READY, READY, READY]).await;
}

#[tokio::test]
async fn an_input_that_kills_its_embedder_is_found_among_others() {
    let world = World::new();
    let far = world.far(1);
    let near = world.near(&[&far]);
    let client = near.client_when(&[READY]).await;
    let mut work = Work::of(&client, 20);
    work.one().await;
    let error = embed(&client, fault("abort")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Crashes, "{error}");
    work.all().await;
    // The machine itself was not lost.
    let members = await_states(&client, &[READY]).await;
    assert_eq!(members[0].failures, 0, "{members:#?}");
    assert!(client.embed_text("a barn").await.is_ok());
}

#[tokio::test]
async fn nonsense_costs_no_picture() {
    let world = World::new();
    let wait = Duration::from_millis(10);
    let far = [world.slow(1, wait), world.slow(2, wait)];
    let near = world.near(&[&far[0], &far[1]]);
    for word in ["nan", "zero", "short", "garbage"] {
        let client = near.client_when(&[READY, READY]).await;
        let mut work = Work::of(&client, 30);
        work.one().await;
        // The embedder that gets it answers wrongly, and so does the next one.
        let error = embed(&client, fault(word)).await.unwrap_err();
        assert!(!error.is_input(), "{word}: {error}");
        work.all().await;
    }
}

#[tokio::test]
async fn a_server_that_ends_answers_what_it_has() {
    let world = World::new();
    let mut far = world.slow(1, Duration::from_millis(20));
    let near = world.near(&[&far]);
    let client = near.client_when(&[READY]).await;
    let mut work = Work::of(&client, 8);
    work.one().await;
    far.signal(Signal::TERM);
    work.all().await;
    assert_eq!(far.wait().code(), Some(0));
    await_states(&client, &[MemberState::Unreachable]).await;
    let error = embed(&client, picture(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("no embedder can be used"), "{error}");
}

#[tokio::test]
async fn a_client_has_at_most_its_share_in_flight() {
    let world = World::new();
    let mut options = world.options_of(1);
    options.extend(["--max-per-client", "3"].map(str::to_owned));
    let far = Machine::serving_model(support::model(), &options, Duration::from_millis(30));
    let near = world.near(&[&far]);
    let client = near.client_when(&[READY]).await;
    let work = Work::of(&client, 20);
    let address = far.address.unwrap().to_string();
    // The server's own view, by another client's certificate.
    let options = world.authority.options("admin", &["admin.internal"]);
    let mut seen = 0;
    while seen == 0 {
        let output = status(&address, &[options.clone(), vec!["--json".to_owned()]].concat()).await;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        seen = report["embedders"][0]["in_flight"].as_u64().unwrap();
        assert!(seen <= 3, "{report}");
    }
    work.all().await;
}

#[tokio::test]
async fn a_server_with_little_does_not_wait_for_one_with_much() {
    let world = World::new();
    let far = world.slow(1, Duration::from_millis(10));
    let much = world.near(&[&far]);
    let mut options = world.authority.options("other", &["db2.internal"]);
    options.extend(["--embedder-timeout", "1"].map(str::to_owned));
    let little = Machine::spreading(&far.address.unwrap().to_string(), &options);
    let (first, second) = (much.client_when(&[READY]).await, little.client_when(&[READY]).await);
    let mut work = Work::of(&first, 240);
    for _ in 0..20 {
        work.one().await;
    }
    Work::of(&second, 10).all().await;
    let left = 240 - first.info().await.unwrap().statistics.images;
    assert!(left > 100, "the ten of the second server waited for all but {left} of the first's");
    work.all().await;
}

#[tokio::test]
async fn status_shows_a_server_to_a_person_and_a_probe() {
    let world = World::new();
    let mut far = world.far(1);
    let near = world.near(&[&far]);
    let client = near.client_when(&[READY]).await;
    embed(&client, picture(1)).await.unwrap();
    let options = world.authority.options("admin", &["admin.internal"]);
    let address = far.address.unwrap().to_string();
    let output = status(&address, &options).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for part in
        ["state           ready", "kernels ", "answered        1 images", "embedder        local: ready, 1 images"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = support::program().args(["status", "--socket"]).arg(near.socket()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(&format!("embedder        {address}: ready, 1 images")), "{text}");

    far.kill();
    let output = status(&address, &options).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    await_states(&client, &[MemberState::Unreachable]).await;
    let output = support::program().args(["status", "--socket"]).arg(near.socket()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // Without a certificate nobody is told anything.
    let stranger = Authority::new().options("stranger", &NAMES);
    far.restart();
    await_states(&client, &[READY]).await;
    assert_eq!(status(&address, &stranger).await.status.code(), Some(1));
}

#[tokio::test]
async fn handshakes_of_one_address_leave_places_for_others() {
    let world = World::new();
    let far = world.far(1);
    let mut silent = Vec::new();
    // More than may be under way from all addresses together.
    for _ in 0..300 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        silent.push(socket.connect(far.address.unwrap()).await.unwrap());
    }
    // Earlier than the silent ones are given up.
    let answer = tokio::time::timeout(Duration::from_secs(4), async {
        embed(&world.near(&[&far]).client_when(&[READY]).await, picture(1)).await
    });
    answer.await.unwrap().unwrap();
    assert!(far.log().contains("too many others from there have begun"), "{}", far.log());
}

#[tokio::test]
async fn a_name_with_several_addresses_is_several_embedders() {
    let world = World::new();
    let far = world.far(1);
    let port = far.address.unwrap().port();
    let near = Machine::spreading(&format!("localhost:{port}, nowhere.invalid"), &world.near);
    let client = near.client().await;
    let until = Instant::now() + Duration::from_secs(20);
    // Each address of `localhost` is one; only one of them listens.
    let members = loop {
        let members = client.embedders().await.unwrap();
        if members.iter().any(|member| member.state == READY)
            && members.iter().all(|member| member.state != MemberState::Connecting)
        {
            break members;
        }
        assert!(Instant::now() < until, "{members:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let of_name = members.iter().filter(|member| member.name.starts_with("localhost:"));
    assert!(of_name.clone().count() >= 1 && of_name.clone().all(|member| !member.address.is_empty()), "{members:#?}");
    let unknown = members.iter().find(|member| member.name == "nowhere.invalid:7433").unwrap();
    assert!(unknown.problem.as_ref().unwrap().contains("could not look up its address"), "{unknown:?}");
    embed(&client, picture(1)).await.unwrap();
}

#[tokio::test]
async fn the_embedder_here_is_started_again_when_it_is_killed() {
    let world = World::new();
    let near = Machine::spreading("local, nowhere.invalid", &world.near);
    let client = near.client_when(&[READY, MemberState::Unreachable]).await;
    let mut work = Work::of(&client, 30);
    work.one().await;
    kill_process(near.embedder(), Signal::KILL).unwrap();
    // Those under way may have been the reason; each is asked alone, and none is.
    work.all().await;
    let members = await_states(&client, &[READY, MemberState::Unreachable]).await;
    assert_eq!(members[0].name, "local");
}
