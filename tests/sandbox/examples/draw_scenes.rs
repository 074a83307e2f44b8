//! Draws images of every family into a directory, as `<family>-<number>.png`: `cargo run --example draw_scenes -- DIR 80`.

use std::path::PathBuf;

use sandbox::scene::{Family, draw};

/// Larger than the input of the models.
const SIDES: (u32, u32) = (300, 450);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = "usage: draw_scenes DIRECTORY IMAGES-PER-FAMILY";
    let directory = PathBuf::from(arguments.next().ok_or(usage)?);
    let pictures: u64 = arguments.next().and_then(|count| count.to_str()?.parse().ok()).ok_or(usage)?;
    std::fs::create_dir_all(&directory)?;
    for family in Family::ALL {
        for seed in 0..pictures {
            draw(family, seed, SIDES.0, SIDES.1).save(directory.join(format!("{family}-{seed}.png")))?;
        }
    }
    Ok(())
}
