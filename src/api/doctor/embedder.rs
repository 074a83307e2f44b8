//! The embedder, its model and its sandbox, and the models of the embeddings.

use std::time::Duration;

use embedder::{Client, Info, Member, MemberState, ModelState};

use super::Finding;
use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::platform;
use crate::postgres::threads::WaitEvent;
use crate::settings;
use crate::store::model::share_of;
use crate::workers::registry::{self, Worker};

/// The time after which an embedder that has not loaded its model is reported.
const PATIENCE: Duration = Duration::from_secs(10);

const UNTRAINED_HINT: &str = "pinterest-clip-weights DIRECTORY downloads trained weights; pinterest-embedder verify \
                              --model DIRECTORY tells whether weights are right.";

pub fn model_directory() -> Result<Finding, Failure> {
    if settings::embedders().is_ok_and(|list| !list.include_local()) {
        return Ok(Finding::Good("not needed: pinterest.embedders lists only other machines".to_owned()));
    }
    Ok(match settings::model_dir() {
        None => Finding::Bad(
            "pinterest.model_dir is not set".to_owned(),
            "Set it to a directory made by pinterest-clip-weights or pinterest-embedder init-model.".to_owned(),
        ),
        Some(path) => match settings::missing_model_file(&path) {
            Some(missing) => Finding::Bad(
                missing,
                "pinterest-clip-weights installs the model; the server's user must be able to read the directory."
                    .to_owned(),
            ),
            None => Finding::Good(path.display().to_string()),
        },
    })
}

pub fn program() -> Result<Finding, Failure> {
    let path = settings::embedder_path();
    Ok(if path.is_file() {
        Finding::Good(path.display().to_string())
    } else {
        Finding::Bad(
            format!("{} does not exist", path.display()),
            "The package and make install put it beside the server's programs; pinterest.embedder_path sets another path."
                .to_owned(),
        )
    })
}

/// The state of the embedder once it has loaded its model, or the reason why it is not asked for it.
fn info() -> Result<Result<Info, Finding>, Failure> {
    if let Err(failure) = settings::require_embedder() {
        return Ok(Err(Finding::Note(format!("not checked: {}", failure.message))));
    }
    if !registry::is_running(Worker::Supervisor) {
        return Ok(Err(Finding::Note("not started; the first call that embeds starts it".to_owned())));
    }
    let answer: Result<Info, Failure> = block_on(WaitEvent::Embedder, || async {
        Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await?.ready(PATIENCE).await
    });
    answer.map(Ok).map_err(|failure| match failure.kind {
        Kind::Busy => failure.with_hint("See the server log for the reason."),
        _ => failure,
    })
}

pub fn answers() -> Result<Finding, Failure> {
    let info = match info()? {
        Ok(info) => info,
        Err(note) => return Ok(note),
    };
    let library = env!("CARGO_PKG_VERSION");
    if info.version != library {
        return Ok(Finding::Bad(
            format!("the running embedder is {}, the library is {library}", info.version),
            "Restart the server after an upgrade. If they still differ, two installations are mixed, such as a package and \
             one from source: remove both, and install one of them."
                .to_owned(),
        ));
    }
    match info.model {
        ModelState::Ready(model) => {
            let untrained = model.is_untrained();
            // Embedders of other versions may not tell.
            let trained =
                if !untrained && info.version == env!("CARGO_PKG_VERSION") { ", trained weights" } else { "" };
            let text = format!(
                "process {}, {} threads, model {} ({} by kernels {}, {} numbers{trained})",
                info.pid, info.threads, model.name, model.precision, model.kernels, model.dimension
            );
            let int8 =
                model.precision.starts_with("int8").then(|| "int8 is not validated on trained weights".to_owned());
            let remarks: Vec<String> = int8.into_iter().chain(model.notice).collect();
            let noted = format!("{text}; {}", remarks.join("; "));
            Ok(if untrained {
                Finding::Advice(noted, UNTRAINED_HINT.to_owned())
            } else if remarks.is_empty() {
                Finding::Good(text)
            } else {
                Finding::Note(noted)
            })
        }
        ModelState::Failed { kind, message } => Err(Failure::from_embedder(kind, message)),
        ModelState::Loading => Ok(Finding::Bad(
            format!("has been loading its model for more than {} seconds", PATIENCE.as_secs()),
            "See the server log; the directory pinterest.model_dir may not be readable.".to_owned(),
        )),
    }
}

/// The embedders that work is spread over.
pub fn pool() -> Result<Finding, Failure> {
    let list = settings::embedders()?;
    if list.are_local() {
        return Ok(Finding::Good("local".to_owned()));
    }
    settings::require_embedder()?;
    if let Err(note) = info()? {
        return Ok(note);
    }
    let members = members()?;
    let unused: Vec<&Member> = members.iter().filter(|member| member.state != MemberState::Ready).collect();
    let described = |member: &Member| {
        let place = member.place();
        match &member.problem {
            Some(problem) => format!("{place}: {}: {problem}", member.state),
            None => format!("{place}: {}", member.state),
        }
    };
    let text = members.iter().map(described).collect::<Vec<_>>().join("; ");
    Ok(if unused.is_empty() {
        Finding::Good(text)
    } else {
        Finding::Bad(
            text,
            "The others do the work. SELECT * FROM pinterest.stat_embedders shows the present state; on the other machine, \
             pinterest-embedder status shows its own."
                .to_owned(),
        )
    })
}

/// The embedders as the running program sees them; none if it is the only one.
fn members() -> Result<Vec<Member>, Failure> {
    block_on(WaitEvent::Embedder, || async {
        Ok::<_, Failure>(Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await?.embedders().await?)
    })
}

/// The sandbox that keeps a decoder's fault from the server's files, the network and other processes.
pub fn confinement() -> Result<Finding, Failure> {
    Ok(match info()? {
        Ok(Info { sandbox, .. }) if sandbox.gap.is_none() => Finding::Good(sandbox.to_string()),
        Ok(Info { sandbox, .. }) => Finding::Note(format!(
            "{sandbox}. A fault in an image decoder could reach everything that the server's user can reach"
        )),
        Err(note) => note,
    })
}

/// Whether the embeddings that the caller may see are all of the embedder's present model.
pub fn embeddings() -> Result<Finding, Failure> {
    let model = match info() {
        Ok(Ok(Info { model: ModelState::Ready(model), .. })) => model,
        Ok(Err(note)) => return Ok(note),
        _ => return Ok(Finding::Note("not checked: the embedder has no model".to_owned())),
    };
    let (all, own) = share_of(model.fingerprint.as_bytes())?;
    Ok(if all == own {
        Finding::Good(format!("{all}, all by the embedder's model"))
    } else {
        Finding::Note(format!(
            "{} of {all} are by other models than the embedder's; \
             pinterest_reembed_board() embeds them again, SELECT * FROM pinterest.models lists them",
            all - own
        ))
    })
}
