//! Prints how many images a second several embedders answer together, each of which takes a fixed time per image, to show what
//! the spreading itself costs: `make bench-embedders`.

#[path = "../tests/support/machines.rs"]
mod machines;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use embedder::{Animations, Client, Input, MemberState};
use machines::{Authority, Machine};
use tokio::task::JoinSet;

/// The time of an image.
const TIME: Duration = Duration::from_millis(20);
/// Images of each embedder before the clock starts, so that its speed is known, and while it runs.
const IMAGES: (usize, usize) = (100, 400);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{} ms an image", TIME.as_millis());
    println!("embedders  images/s  of linear");
    for count in [1, 2, 4, 8] {
        let rate = runtime.block_on(rate(count));
        let linear = count as f64 / TIME.as_secs_f64();
        println!("{count:>9}  {rate:>8.1}  {:>9.3}", rate / linear);
    }
}

async fn rate(count: usize) -> f64 {
    let authority = Authority::new();
    let names = ["localhost", "127.0.0.1"];
    let far: Vec<Machine> = (0..count)
        .map(|number| {
            let options = authority.options(&format!("far{number}"), &names);
            Machine::serving_model(support::model(), &options, TIME)
        })
        .collect();
    let list: Vec<String> = far.iter().map(|machine| machine.address.unwrap().to_string()).collect();
    let near = Machine::spreading(&list.join(","), &authority.options("near", &["db1.internal"]));
    let client = near.client_when(&vec![MemberState::Ready; count]).await;
    work(&client, count * IMAGES.0).await;
    let begun = Instant::now();
    work(&client, count * IMAGES.1).await;
    (count * IMAGES.1) as f64 / begun.elapsed().as_secs_f64()
}

/// Embeds so many pictures, of which as many are under way as the server takes.
async fn work(client: &Client, count: usize) {
    let picture = bytes::Bytes::from(support::small_picture());
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (client, picture) = (client.clone(), picture.clone());
        tasks.spawn(async move {
            let input = Input::Image(picture, Animations::FirstFrame);
            client.embed(input, Duration::from_secs(60)).await.unwrap();
        });
    }
    tasks.join_all().await;
}
