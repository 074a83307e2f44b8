//! The image CDN: paths, sizes, and files drawn at their first request.

mod cache;
mod encoding;
mod pictures;
mod size;

pub(crate) use encoding::encode;
pub(crate) use pictures::Pictures;
pub(crate) use size::Size;

use crate::faults::PictureFormat;
use crate::faults::answers::access_denied;
use crate::server::answer::Answer;
use crate::state::State;
use crate::world::{Picture, PictureKey};

/// Answers `/{size}/{aa}/{bb}/{cc}/{hash}.{ext}` and the covers of videos. `other_format` replaces the format of the
/// extension.
pub(crate) async fn answer(state: &State, path: &str, other_format: Option<PictureFormat>) -> Answer {
    let Some((key, picture, size)) = find(state, path) else {
        return access_denied();
    };
    let content_type = picture.format.content_type();
    let served = Picture { format: other_format.unwrap_or(picture.format), ..picture };
    let file = state.pictures.file(key, served, size).await;
    Answer::bytes(200, content_type, file).header("cache-control", "max-age=31536000,immutable")
}

fn find(state: &State, path: &str) -> Option<(PictureKey, Picture, Size)> {
    let covers = path.strip_prefix("/videos/thumbnails/originals/");
    let (size, rest) = match covers {
        Some(rest) => (Size::Original, rest),
        None => {
            let (size, rest) = path.trim_start_matches('/').split_once('/')?;
            (Size::parse(size)?, rest)
        }
    };
    let (folders, file) = rest.rsplit_once('/')?;
    let (hash, extension) = file.split_once('.')?;
    let key = state.world().identities.picture_key(hash)?;
    if folders != format!("{}/{}/{}", &hash[0..2], &hash[2..4], &hash[4..6]) {
        return None;
    }
    let world = state.world();
    if !world.ever_was(key.pin) {
        return None;
    }
    let picture = Picture::derive(&world, key, &state.config().images);
    let (picture, expected) = match covers {
        Some(_) => (picture.video_frame(), "0000000.jpg"),
        None => (picture, picture.format.extension()),
    };
    (extension == expected).then_some((key, picture, size))
}
