//! Boards of drawn scenes: half of the pictures of each family are pins, the other half venues.

use std::collections::BTreeMap;

use serde::Deserialize;
use taste::Vectors;

use crate::instance::Instance;
use crate::random::Random;

const BOARDS: u64 = 40;

/// A line as `pinterest-embedder embed` prints it; the name is `<family>-<number>.png`.
#[derive(Deserialize)]
struct Line {
    name: String,
    embedding: Vec<f32>,
}

/// Boards of two to four families in unequal shares, with some strays, from lines of embeddings.
pub fn instances(lines: &str) -> Result<Vec<Instance>, Box<dyn std::error::Error>> {
    let pictures = pictures(lines)?;
    (0..BOARDS).map(|seed| board(&pictures, seed)).collect()
}

/// The same boards, with tables that have only one picture of every second family, so that these families cannot be found.
pub fn partial_tables(lines: &str) -> Result<Vec<Instance>, Box<dyn std::error::Error>> {
    let mut partial = instances(lines)?;
    for (number, instance) in partial.iter_mut().enumerate() {
        let parity = number % 2;
        let (mut venues, mut families) = (Vectors::new(instance.venues.dimension()), Vec::new());
        for (row, &family) in instance.families.iter().enumerate() {
            if family % 2 == parity || !families.contains(&family) {
                venues.push(instance.venues.row(row))?;
                families.push(family);
            }
        }
        (instance.venues, instance.families) = (venues, families);
        instance.liked.retain(|(family, _)| family % 2 == parity);
    }
    partial.retain(|instance| !instance.liked.is_empty());
    Ok(partial)
}

fn pictures(lines: &str) -> Result<Vec<Vec<Vec<f32>>>, Box<dyn std::error::Error>> {
    let mut pictures = BTreeMap::<String, Vec<Vec<f32>>>::new();
    for line in lines.lines() {
        let line: Line = serde_json::from_str(line)?;
        let file = line.name.rsplit('/').next().unwrap_or(&line.name);
        let (family, _) = file.split_once('-').ok_or("a name is not <family>-<number>.png")?;
        pictures.entry(family.to_string()).or_default().push(line.embedding);
    }
    Ok(pictures.into_values().collect())
}

fn board(pictures: &[Vec<Vec<f32>>], seed: u64) -> Result<Instance, Box<dyn std::error::Error>> {
    let random = &mut Random::new(seed);
    let dimension = pictures.first().and_then(|family| family.first()).ok_or("no pictures")?.len();
    let mut venues = Vectors::new(dimension);
    let mut families = Vec::new();
    for (family, pictures) in pictures.iter().enumerate() {
        for picture in &pictures[pictures.len() / 2..] {
            venues.push(picture)?;
            families.push(family);
        }
    }
    let mut chosen: Vec<usize> = (0..pictures.len()).collect();
    random.shuffle(&mut chosen);
    let tastes = random.integer(2, 4);
    let mut board = Vectors::new(dimension);
    let mut shown = Vec::new();
    let mut counts = Vec::new();
    for (place, &family) in chosen.iter().enumerate() {
        let half = pictures[family].len() / 2;
        let count = if place < tastes { random.integer(half / 5, half) } else { random.integer(0, 1) };
        for picture in &pictures[family][..count] {
            board.push(picture)?;
            shown.push(family);
        }
        counts.push((family, count as f64));
    }
    counts.truncate(tastes);
    let total: f64 = counts.iter().map(|(_, count)| count).sum();
    let liked: Vec<(usize, f64)> = counts.into_iter().map(|(family, count)| (family, count / total)).collect();
    let disliked_family = liked[0].0;
    Ok(Instance {
        board,
        shown,
        liked,
        disliked: Vectors::new(dimension),
        disliked_family,
        venues,
        families,
        topic: None,
    })
}
