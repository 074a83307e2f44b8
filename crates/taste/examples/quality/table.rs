use taste::{Ranking, Taste, ThemeOptions, themes};

use crate::instance::Instance;
use crate::methods::{Method, answer};
use crate::metrics::{DEEP, Scores};

/// Mean and standard deviation.
pub fn spread(values: &[f64]) -> String {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    format!("{mean:.3} ± {:.2}", variance.sqrt())
}

fn head(first: &str) {
    println!("| {first} | {} |\n| --- |{}", Scores::NAMES.join(" | "), " ---: |".repeat(Scores::NAMES.len()));
}

fn row(name: &str, scores: &[Scores]) {
    let columns = (0..Scores::NAMES.len())
        .map(|column| spread(&scores.iter().map(|scores| scores.values()[column]).collect::<Vec<_>>()));
    println!("| {name} | {} |", columns.collect::<Vec<_>>().join(" | "));
}

/// Every method, by relevance alone and with the default diversity.
pub fn methods(instances: &[Instance], methods: &[Method]) {
    head("method");
    for &method in methods {
        let tastes: Vec<Taste> = instances.iter().map(|instance| method.taste(instance)).collect();
        for (diversity, suffix) in [(0.0, ""), (Ranking::default().diversity, ", diverse")] {
            let ranking = Ranking { diversity, ..Ranking::default() };
            row(&format!("{}{suffix}", method.name()), &scored(instances, &tastes, &ranking));
        }
    }
}

/// Themes + gate with other settings.
pub fn settings(instances: &[Instance], settings: &[(String, Ranking)]) {
    head("setting");
    let tastes: Vec<Taste> = instances.iter().map(|instance| Method::GatedThemes.taste(instance)).collect();
    for (name, ranking) in settings {
        row(name, &scored(instances, &tastes, ranking));
    }
}

/// Themes + gate against the other board.
pub fn aversion(instances: &[Instance]) {
    head("aversion");
    let against = |instance: &Instance| themes(&instance.disliked, None, &ThemeOptions::default(), &mut || {});
    let tastes: Vec<Taste> = instances
        .iter()
        .map(|instance| Taste { against: against(instance), ..Method::GatedThemes.taste(instance) })
        .collect();
    for aversion in [0.0, 0.5, 1.0, 2.0, 4.0, 8.0] {
        row(&aversion.to_string(), &scored(instances, &tastes, &Ranking { aversion, ..Ranking::default() }));
    }
}

fn scored(instances: &[Instance], tastes: &[Taste], ranking: &Ranking) -> Vec<Scores> {
    let answers = instances.iter().zip(tastes);
    answers.map(|(instance, taste)| Scores::of(instance, &answer(instance, taste, ranking, DEEP))).collect()
}
