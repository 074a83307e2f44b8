//! Text queries from SQL: warm, and during an import.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{Result, World};
use postgres::Client;

use crate::{figure, milliseconds, spread};

/// Number of warm queries, each with a different text to avoid the embedder's cache.
const WARM: usize = 200;
/// Pause between two queries during an import, as of one person.
const PAUSE: Duration = Duration::from_millis(50);

/// Measures the first text query, which starts the embedder and loads the weights, and later ones.
pub fn measure(world: &World) -> Result<()> {
    let mut texts = texts(0);
    let first = query(&mut world.connect()?, &texts.next().unwrap_or_default())?;
    let second = query(&mut world.connect()?, &texts.next().unwrap_or_default())?;
    figure("first pinterest_embed_text", milliseconds(first));
    figure("second, in another session", milliseconds(second));

    let mut client = world.connect()?;
    let mut warm = texts.by_ref().take(WARM).map(|text| query(&mut client, &text)).collect::<Result<Vec<_>>>()?;
    figure("warm, 8 tokens", spread(&mut warm));
    // The embedder answers these from its cache: only the round trip is measured.
    let mut again = (0..WARM).map(|_| query(&mut client, "the same text")).collect::<Result<Vec<_>>>()?;
    figure("  the same text again and again", spread(&mut again));
    let mut bare =
        (0..WARM).map(|_| timed(&mut client, "SELECT length($1)::text", "a text")).collect::<Result<Vec<_>>>()?;
    figure("  a statement without the embedder", spread(&mut bare));

    let many: Vec<String> = texts.by_ref().take(WARM).collect();
    let began = Instant::now();
    client.execute("SELECT pinterest_embed_texts($1)", &[&many])?;
    figure("  pinterest_embed_texts, a text", milliseconds(began.elapsed() / WARM as u32));
    Ok(())
}

/// Measures text queries while `work` runs.
pub fn beside(world: &World, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let done = AtomicBool::new(false);
    let mut client = world.connect()?;
    let (worked, asked) = thread::scope(|scope| {
        let asking = scope.spawn(|| -> Result<Vec<Duration>> {
            let mut taken = Vec::new();
            for text in texts(2 * WARM) {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                taken.push(query(&mut client, &text)?);
                thread::sleep(PAUSE);
            }
            Ok(taken)
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        (worked, asking.join())
    });
    worked?;
    let Ok(asked) = asked else { panic!("the querying thread panicked") };
    let mut asked = asked?;
    ensure!(!asked.is_empty(), "no query was made");
    figure(&format!("  {} texts meanwhile", asked.len()), spread(&mut asked));
    Ok(())
}

fn query(client: &mut Client, text: &str) -> Result<Duration> {
    timed(client, "SELECT pinterest_embed_text($1)::text", text)
}

fn timed(client: &mut Client, sql: &str, text: &str) -> Result<Duration> {
    let began = Instant::now();
    client.query_one(sql, &[&text])?;
    Ok(began.elapsed())
}

/// Different texts from number `from`. Each has six words of one token, eight tokens with the start and end tokens.
fn texts(from: usize) -> impl Iterator<Item = String> {
    const LOOKS: [&str; 10] = ["red", "old", "green", "white", "blue", "dark", "small", "wild", "quiet", "golden"];
    const PLACES: [&str; 10] = ["barn", "beach", "garden", "lake", "forest", "roof", "hall", "church", "farm", "house"];
    const THINGS: [&str; 10] =
        ["lights", "flowers", "tables", "music", "trees", "chairs", "friends", "dogs", "horses", "candles"];
    const TIMES: [&str; 10] =
        ["night", "noon", "sunset", "dawn", "christmas", "home", "work", "sea", "school", "dinner"];
    (from..10_000).map(|number| {
        let word = |words: [&'static str; 10], place: usize| words[number / place % 10];
        format!("{} {} with {} at {}", word(LOOKS, 1), word(PLACES, 10), word(THINGS, 100), word(TIMES, 1000))
    })
}
