//! Judges what was found: one row per check, and a sentence.

use std::fmt;

use clip::verify::{self, CAT_AND_DOG, CAT_PHOTO, Comparison, ENOUGH_CAPTIONS, ENOUGH_PARTNERS, Vocabulary};
use serde::Serialize;

use super::findings::{Computed, Figures, Findings};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Ok,
    /// Unexpected, but what decides is right.
    Note,
    Failed,
    Skipped,
}

/// A check.
#[derive(Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    /// The engine, if one computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    pub outcome: Outcome,
    /// The figures found and expected, or the reason.
    pub detail: String,
}

/// All checks, and what they mean.
#[derive(Debug, Serialize)]
pub struct Report {
    pub verified: bool,
    pub verdict: String,
    pub checks: Vec<Check>,
}

impl Report {
    /// Judges.
    pub fn on(findings: &Findings) -> Self {
        let mut checks = vec![files(findings), vocabulary(findings), training(findings)];
        if findings.engines.is_empty() {
            for name in ["hello world", "texts", "pictures", "cats"] {
                checks.push(check(name, None, Outcome::Skipped, "the weights cannot be read".to_owned()));
            }
        }
        checks.extend(findings.engines.iter().flat_map(computed));
        let verified = checks.iter().all(|check| check.outcome != Outcome::Failed);
        Self { verified, verdict: verdict(findings, verified), checks }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, engine, outcome, detail } in &self.checks {
            let outcome = match outcome {
                Outcome::Ok => "ok",
                Outcome::Note => "note",
                Outcome::Failed => "failed",
                Outcome::Skipped => "skipped",
            };
            let engine = engine.as_deref().map_or_else(String::new, |engine| format!("{engine}: "));
            writeln!(formatter, "{outcome:<8} {name:<12} {engine}{detail}")?;
        }
        write!(formatter, "\n{}", self.verdict)
    }
}

fn check(name: &'static str, engine: Option<&Computed>, outcome: Outcome, detail: String) -> Check {
    Check { name, engine: engine.map(|engine| engine.name.clone()), outcome, detail }
}

/// `Ok` or `Failed`.
fn judged(right: bool) -> Outcome {
    if right { Outcome::Ok } else { Outcome::Failed }
}

fn files(findings: &Findings) -> Check {
    match &findings.files {
        Ok(files) => {
            let published =
                if files.sha256 == verify::PUBLISHED_SHA256 { "as published" } else { "not the published file" };
            let sound =
                format!("{} bytes, {} tensors, SHA-256 {}, {published}", files.bytes, files.tensors, files.sha256);
            let detail = files.damage.as_ref().map_or_else(|| sound.clone(), |damage| format!("{damage}; {sound}"));
            check("weights", None, judged(files.damage.is_none()), detail)
        }
        Err(failure) => check("weights", None, Outcome::Failed, failure.to_string()),
    }
}

fn vocabulary(findings: &Findings) -> Check {
    let (outcome, detail) = match &findings.vocabulary {
        Vocabulary::Absent => (Outcome::Ok, "part of the program".to_owned()),
        Vocabulary::Same { file } => (Outcome::Ok, format!("{file} is the one that is part of the program")),
        Vocabulary::Other { file, difference } => (Outcome::Failed, format!("{file} is not CLIP's: {difference}")),
    };
    check("vocabulary", None, outcome, detail)
}

fn training(findings: &Findings) -> Check {
    let training = match &findings.training {
        None => return check("training", None, Outcome::Skipped, "the weights cannot be read".to_owned()),
        Some(Err(failure)) => return check("training", None, Outcome::Failed, failure.to_string()),
        Some(Ok(training)) => training,
    };
    let marks: Vec<String> = training
        .marks
        .iter()
        .map(|mark| format!("{} {:.3} (at least {})", mark.name, mark.found, mark.least))
        .collect();
    let detail = format!("{} of {} marks: {}", training.count(), training.marks.len(), marks.join(", "));
    let outcome = match training.is_trained() {
        true => Outcome::Ok,
        // What the model computes says more than any statistic of its weights.
        false if computes_as_published(findings) => Outcome::Note,
        false => Outcome::Failed,
    };
    check("training", None, outcome, detail)
}

fn computed(engine: &Computed) -> Vec<Check> {
    let figures = match &engine.figures {
        Ok(figures) => figures,
        Err(failure) => return vec![check("hello world", Some(engine), Outcome::Failed, failure.to_string())],
    };
    let tolerance = verify::tolerance(&engine.precision);
    vec![
        check("hello world", Some(engine), judged(figures.text_is_published()), hello_world(figures, tolerance.number)),
        check("texts", Some(engine), judged(figures.texts_are_understood()), {
            let (found, all) = figures.partners;
            format!("{found} of {all} are nearest to the one of like meaning (at least {ENOUGH_PARTNERS})")
        }),
        check("pictures", Some(engine), judged(figures.pictures_are_understood()), {
            let groups =
                figures.captions.iter().map(|(group, found, all)| format!("{} {found} of {all}", group.name()));
            let groups: Vec<String> = groups.collect();
            let (found, all) = figures.all_captions();
            format!(
                "{found} of {all} are nearest to their captions (at least {ENOUGH_CAPTIONS}): {}",
                groups.join(", ")
            )
        }),
        cats(engine, figures, tolerance.logit),
    ]
}

fn hello_world(figures: &Figures, tolerance: f64) -> String {
    let numbers = figures.numbers.map(|number| format!("{number:.4}")).join(" ");
    let published = verify::HELLO_WORLD.1.map(|number| format!("{number:.4}")).join(" ");
    let beginning = figures.beginning;
    let factor = match beginning.comparison {
        Comparison::EqualUpToFactor => {
            format!(
                "; equal after multiplication with {:.3}, off by {:.4}",
                beginning.factor, beginning.scaled_difference
            )
        }
        _ => String::new(),
    };
    format!("begins {numbers}, published {published}, off by {:.4} (at most {tolerance}){factor}", beginning.difference)
}

fn cats(engine: &Computed, figures: &Figures, tolerance: f64) -> Check {
    let (number, ..) = CAT_PHOTO;
    match &figures.logits {
        None => check("cats", Some(engine), Outcome::Skipped, format!("no --picture with COCO's {number}.jpg")),
        Some(Err(failure)) => check("cats", Some(engine), Outcome::Failed, failure.to_string()),
        Some(Ok(found)) => {
            let logits: Vec<String> = CAT_AND_DOG
                .iter()
                .zip(found)
                .map(|((caption, published), found)| format!("\"{caption}\" {found:.4}, published {published}"))
                .collect();
            let detail = format!("{} (at most {tolerance} off)", logits.join("; "));
            check("cats", Some(engine), judged(verify::logits_agree(*found, tolerance)), detail)
        }
    }
}

impl Figures {
    fn text_is_published(&self) -> bool {
        self.beginning.comparison != Comparison::Different
    }

    fn texts_are_understood(&self) -> bool {
        self.partners.0 >= ENOUGH_PARTNERS
    }

    fn all_captions(&self) -> (usize, usize) {
        self.captions.iter().fold((0, 0), |(found, all), group| (found + group.1, all + group.2))
    }

    fn pictures_are_understood(&self) -> bool {
        self.all_captions().0 >= ENOUGH_CAPTIONS
    }

    fn has_meaning(&self) -> bool {
        self.texts_are_understood() && self.pictures_are_understood()
    }
}

/// Whether every engine computes the published text and what any trained CLIP does.
fn computes_as_published(findings: &Findings) -> bool {
    !findings.engines.is_empty()
        && findings.engines.iter().all(|engine| {
            engine.figures.as_ref().is_ok_and(|figures| figures.text_is_published() && figures.has_meaning())
        })
}

/// What the checks mean, in a sentence or two.
fn verdict(findings: &Findings, verified: bool) -> String {
    if verified {
        return "These are the trained weights of openai/clip-vit-base-patch32, as far as published figures show."
            .to_owned();
    }
    let files = match &findings.files {
        Ok(files) => files,
        Err(_) => return "The weights cannot be read. Download or copy the files again.".to_owned(),
    };
    if files.damage.is_some() {
        return "The weights are damaged. Download or copy the files again.".to_owned();
    }
    let figures: Vec<&Figures> = findings.figures().map(|(_, figures)| figures).collect();
    let all = |property: fn(&Figures) -> bool| !figures.is_empty() && figures.iter().all(|figures| property(figures));
    let trained = files.sha256 == verify::PUBLISHED_SHA256
        || matches!(&findings.training, Some(Ok(training)) if training.is_trained());
    if !trained && !all(Figures::has_meaning) {
        return "These weights are not trained: they are random numbers, as those of pinterest-embedder init-model. Rankings \
                by them reflect colour and texture, not meaning. pinterest-clip-weights downloads trained ones."
            .to_owned();
    }
    if let Some(failed) = findings.engines.iter().find(|engine| engine.figures.is_err()) {
        return format!("The model cannot be computed with {}.", failed.name);
    }
    if computes_as_published(findings) {
        return match findings.vocabulary {
            Vocabulary::Other { .. } => {
                "The weights compute as published, but the vocabulary beside them is of another model. Check where the files \
                 come from."
            }
            _ => "The texts are as published, but the image is not: either it is another image, or the image tower is damaged.",
        }
        .to_owned();
    }
    let (right, wrong): (Vec<_>, Vec<_>) = findings.figures().partition(|(_, figures)| figures.text_is_published());
    if let (false, Some((engine, _))) = (right.is_empty(), wrong.first()) {
        return format!(
            "The weights are right, but {} does not compute as published. Remove the file model.*.packed, run pinterest-embedder \
             pack, and verify again; if that does not help, set pinterest.clip_precision = f32.",
            engine.name
        );
    }
    if all(Figures::text_is_published) {
        return "The texts begin as published, but do not mean what they say, or the pictures do not: the weights are damaged or \
                put together from several models."
            .to_owned();
    }
    if all(Figures::has_meaning) {
        return "The weights are trained, but are not those of openai/clip-vit-base-patch32. Embeddings by them work, and are not \
                comparable with those of that model."
            .to_owned();
    }
    "The weights bear marks of training, but do not compute what a trained CLIP does: they are damaged, in a wrong order, or of \
     another kind of model."
        .to_owned()
}
