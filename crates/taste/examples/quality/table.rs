use std::collections::BTreeMap;

use taste::{Ranking, SupportRule, Taste, ThemeOptions, themes};

use crate::instance::Instance;
use crate::methods::{Method, answer, candidates, recommended, served_answer, supported};
use crate::metrics::{DEEP, Scores};
use crate::trials::Trial;

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
            let answers = instances.iter().zip(&tastes);
            let answers = answers
                .map(|(instance, taste)| Scores::of(instance, &recommended(method, instance, taste, &ranking, DEEP)));
            row(&format!("{}{suffix}", method.name()), &answers.collect::<Vec<_>>());
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

/// NDCG@10 and α-NDCG@10 of some methods with the default diversity, and the numbers of themes that the rule leaves out
/// wrongly and rightly.
pub fn trials(trials: &[Trial]) {
    const METHODS: [Method; 5] =
        [Method::Mean, Method::NearestPin, Method::Themes, Method::ServedThemes, Method::GatedThemes];
    let names: Vec<&str> = METHODS.iter().map(|method| method.name()).collect();
    println!("| table and boards | {} | left out wrongly | rightly |", names.join(" | "));
    println!("| --- |{}", " ---: |".repeat(METHODS.len() + 2));
    for trial in trials {
        let scores = METHODS.map(|method| {
            let scores = trial.instances.iter().map(|instance| {
                let taste = method.taste(instance);
                Scores::of(instance, &recommended(method, instance, &taste, &Ranking::default(), DEEP))
            });
            both(&scores.collect::<Vec<_>>())
        });
        println!(
            "| {} | {} | {} |",
            trial.name,
            scores.join(" | "),
            left_out(trial, &SupportRule::default()).join(" | ")
        );
    }
}

/// The rule with other numbers, over all trials.
pub fn rules(trials: &[Trial], rules: &[(String, SupportRule)]) {
    println!("| rule | mean NDCG@10, α-NDCG@10 | greatest loss of α-NDCG@10 | left out wrongly | rightly |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let ranking = Ranking::default();
    let scored = |trial: &Trial, rule: Option<&SupportRule>| -> Vec<Scores> {
        let of = |instance: &Instance| {
            let taste = Method::Themes.taste(instance);
            let answer = match rule {
                Some(rule) => served_answer(instance, &taste, rule, &ranking, DEEP),
                None => answer(instance, &taste, &ranking, DEEP),
            };
            Scores::of(instance, &answer)
        };
        trial.instances.iter().map(of).collect()
    };
    let novelty = |scores: &[Scores]| scores.iter().map(|scores| scores.novelty).sum::<f64>() / scores.len() as f64;
    let before: Vec<f64> = trials.iter().map(|trial| novelty(&scored(trial, None))).collect();
    for (name, rule) in rules {
        let (mut all, mut loss, mut wrong, mut right) = (Vec::new(), 0.0f64, [0, 0], [0, 0]);
        for (trial, before) in trials.iter().zip(&before) {
            let scores = scored(trial, Some(rule));
            loss = loss.max(before - novelty(&scores));
            all.extend(scores);
            let counts = counts_left_out(trial, rule);
            for (sum, count) in [(&mut wrong, counts[0]), (&mut right, counts[1])] {
                sum[0] += count[0];
                sum[1] += count[1];
            }
        }
        println!(
            "| {name} | {} | {loss:.3} | {} of {} | {} of {} |",
            both(&all),
            wrong[0],
            wrong[1],
            right[0],
            right[1]
        );
    }
}

fn both(scores: &[Scores]) -> String {
    let mean = |of: fn(&Scores) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    format!("{:.3}, {:.3}", mean(|scores| scores.ndcg), mean(|scores| scores.novelty))
}

fn left_out(trial: &Trial, rule: &SupportRule) -> [String; 2] {
    counts_left_out(trial, rule).map(|[left_out, all]| format!("{left_out} of {all}"))
}

/// Themes left out and all themes: of those whose most frequent family is liked, and of the others.
fn counts_left_out(trial: &Trial, rule: &SupportRule) -> [[usize; 2]; 2] {
    let mut counts = [[0; 2]; 2];
    for instance in &trial.instances {
        let taste = Method::Themes.taste(instance);
        let (_, candidates) = candidates(instance, &taste);
        for (theme, support) in taste.themes.iter().zip(supported(instance, &taste, &candidates, rule)) {
            let mut families = BTreeMap::<usize, usize>::new();
            theme.members.iter().for_each(|&member| *families.entry(instance.shown[member]).or_default() += 1);
            let family = families.iter().max_by_key(|&(_, count)| *count).map(|(&family, _)| family);
            let is_liked = instance.liked.iter().any(|&(liked, _)| Some(liked) == family);
            let [left_out, all] = &mut counts[usize::from(!is_liked)];
            *left_out += usize::from(!support.served);
            *all += 1;
        }
    }
    counts
}
