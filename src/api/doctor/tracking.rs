//! Tracked columns.

use super::{Finding, listed};
use crate::errors::Failure;
use crate::settings;
use crate::store::track::work;

/// Those that the caller may see.
pub fn columns() -> Result<Finding, Failure> {
    let summary = work::summary()?;
    let text = format!("{}; rows pending {}, failed {}", summary.columns, summary.pending, summary.failed);
    Ok(match summary.problem {
        _ if summary.columns == 0 => Finding::Good("none".to_owned()),
        Some(problem) => Finding::Bad(
            format!("{text}; {} have a problem: {problem}", summary.problems),
            "SELECT * FROM pinterest.tracked shows the problems and hints.".to_owned(),
        ),
        None if summary.failed > 0 => {
            Finding::Note(format!("{text}; SELECT * FROM pinterest.tracked_failures shows the reasons"))
        }
        None => Finding::Good(text),
    })
}

pub fn image_hosts() -> Result<Finding, Failure> {
    let endpoints = settings::tracked_endpoints()?;
    if endpoints.images.is_empty() {
        return Ok(Finding::Good(
            "none: no image URL of a tracked column is downloaded before pinterest.tracked_image_hosts names its host"
                .to_owned(),
        ));
    }
    let text = listed(&endpoints.images);
    let names: Vec<_> = endpoints.images.iter().map(pinterest::Host::name).collect();
    Ok(match endpoints.private_images.iter().find(|private| !names.contains(&private.name)) {
        Some(private) => Finding::Advice(
            format!("{text}; pinterest.private_image_hosts names {private} to no effect"),
            format!("Name {} in pinterest.tracked_image_hosts too, with its port.", private.name),
        ),
        None if endpoints.private_images.is_empty() => Finding::Good(text),
        None => Finding::Good(format!("{text}; in internal networks {}", listed(&endpoints.private_images))),
    })
}
