//! The quality of recommendations with known answers: `cargo run --release -p taste --example quality`, with a file of
//! embeddings made by `tools/bench-quality` for the part on drawn scenes.
//!
//! The tables are those of docs/quality.md.

mod geometry;
mod instance;
mod methods;
mod metrics;
mod random;
mod scenes;
mod table;
mod trials;

use geometry::{Kind, World};
use instance::Instance;
use methods::Method;
use taste::{Ranking, ThemeOptions};

/// Boards of each kind; four are of one world.
const BOARDS: u64 = 60;
/// Seed of the first board on which settings are compared.
const CHOOSING: u64 = 0;
/// Seed of the first board on which methods are compared: other boards than those for settings.
const COMPARING: u64 = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for kind in [Kind::Mixed, Kind::VenuesOnly, Kind::OneTaste] {
        let instances = synthetic(kind, COMPARING);
        println!("\n## {}, {BOARDS} boards\n", kind.name());
        themes_found(&instances);
        if kind != Kind::OneTaste {
            gate_quality(&instances);
        }
        table::methods(&instances, &Method::ALL);
    }
    let mixed = synthetic(Kind::Mixed, CHOOSING);
    println!("\n## Settings, themes + gate, mixed boards\n");
    table::settings(&mixed, &sweep());
    let averse: Vec<Instance> = synthetic(Kind::Mixed, CHOOSING).into_iter().map(Instance::averse).collect();
    println!("\n## Against a board of one of the families\n");
    table::aversion(&averse);
    println!("\n## Tables and boards that the rule was tuned on\n");
    let tuning = trials::tuning();
    table::trials(&tuning);
    println!("\n## One number of the rule at a time, on those\n");
    table::rules(&tuning, &trials::rules());
    println!("\n## Tables and boards that it was not tuned on\n");
    table::trials(&trials::held_out());
    if let Some(file) = &std::env::args().nth(1) {
        let instances = scenes::instances(&std::fs::read_to_string(file)?)?;
        println!("\n## Drawn scenes, {} boards\n", instances.len());
        themes_found(&instances);
        table::methods(&instances, &[Method::Mean, Method::NearestPin, Method::Themes, Method::ServedThemes]);
        let partial = scenes::partial_tables(&std::fs::read_to_string(file)?)?;
        println!("\n## Drawn scenes, tables of half of the families, {} boards\n", partial.len());
        table::methods(&partial, &[Method::Mean, Method::NearestPin, Method::Themes, Method::ServedThemes]);
    }
    Ok(())
}

fn synthetic(kind: Kind, first: u64) -> Vec<Instance> {
    (first..first + BOARDS).map(|seed| World::new(seed / 4).board(kind, seed)).collect()
}

/// One change at a time from the default.
fn sweep() -> Vec<(String, Ranking)> {
    let default = Ranking::default();
    let diversity = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8];
    let diversity = diversity.map(|diversity| (format!("diversity {diversity}"), Ranking { diversity, ..default }));
    let handicap = [0.0, 0.25, 0.5, 0.75, 1.0];
    let handicap = handicap.map(|handicap| (format!("handicap {handicap}"), Ranking { handicap, ..default }));
    let share = [0.0, 0.01, 0.02, 0.05];
    let share = share.map(|share| (format!("share {share}"), Ranking { share, ..default }));
    diversity.into_iter().chain(handicap).chain(share).collect()
}

/// Whether the themes are the families.
fn themes_found(instances: &[Instance]) {
    let mut agreement = Vec::new();
    let (mut exact, mut near) = (0, 0);
    for instance in instances {
        let themes = taste::themes(&instance.board, None, &ThemeOptions::default(), &mut || {});
        let mut labels = vec![0; instance.board.len()];
        for (label, theme) in themes.iter().enumerate() {
            theme.members.iter().for_each(|&member| labels[member] = label);
        }
        agreement.push(metrics::adjusted_rand_index(&labels, &instance.shown));
        let mut sizes = std::collections::BTreeMap::<usize, usize>::new();
        instance.shown.iter().for_each(|&family| *sizes.entry(family).or_default() += 1);
        let families = sizes.values().filter(|&&size| size >= 3).count().min(8);
        exact += usize::from(themes.len() == families);
        near += usize::from(themes.len().abs_diff(families) <= 1);
    }
    println!(
        "themes: adjusted Rand index {}; as many as families of three or more pins (at most 8) on {exact} boards, \
         one more or less on {near}\n",
        table::spread(&agreement)
    );
}

/// The precision and recall of the gate, against all prompts and against `a photo` alone, and with other limits.
fn gate_quality(instances: &[Instance]) {
    println!("| gate | precision | recall | boards it leaves nothing of |\n| --- | ---: | ---: | ---: |");
    for (least, neutral_only) in [(0.5, false), (0.2, false), (0.8, false), (0.5, true)] {
        let (mut right, mut kept, mut about, mut emptied) = (0, 0, 0, 0);
        for instance in instances {
            let Some(topic) = &instance.topic else { continue };
            let mut others = topic.others.clone();
            if neutral_only {
                others = taste::Vectors::new(others.dimension());
                others.push(topic.others.row(0)).expect("a row is a direction");
            }
            let probabilities = taste::gate(&instance.board, &topic.wanted, &others).probabilities;
            for (&family, &probability) in instance.shown.iter().zip(&probabilities) {
                right += u32::from(topic.is_about[family] && probability >= least);
                kept += u32::from(probability >= least);
                about += u32::from(topic.is_about[family]);
            }
            emptied += u32::from(probabilities.iter().all(|&probability| probability < least));
        }
        let (precision, recall) = (f64::from(right) / f64::from(kept), f64::from(right) / f64::from(about));
        let against = if neutral_only { "a neutral text alone" } else { "all prompts" };
        println!("| probability ≥ {least} against {against} | {precision:.3} | {recall:.3} | {emptied} |");
    }
    println!();
}
