//! The client secret of an app: sealed in its row, or in the file that `pinterest.app_secret_file` names.

use pinterest::seal::Purpose;
use pinterest::{AppCredentials, Secret};

use super::sealer::Sealer;
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::settings;
use crate::store::{app, grants};

impl Sealer {
    /// The app's credentials.
    pub fn credentials(&self, app_id: i64) -> Result<AppCredentials, Failure> {
        let (app, owner, sealed) = app::with_secret(app_id)?;
        let client_secret = match sealed {
            Some(sealed) => self.unseal(Purpose::ClientSecret, app_id, 0, &sealed).map_err(of_app)?,
            None => secret_of_file(&app.client_id, &owner)?,
        };
        Ok(AppCredentials { client_id: app.client_id, client_secret, redirect_uri: app.redirect_uri })
    }
}

/// A client secret that cannot be opened is a problem of the app, not of the account.
fn of_app(failure: Failure) -> Failure {
    match failure.kind {
        Kind::SealBroken => Failure::new(Kind::NotReady, format!("the app's client secret: {failure}"))
            .with_hint("Register the app again with pinterest_register_app()."),
        _ => failure,
    }
}

/// The client secret that `pinterest.app_secret_file` contains for a client id, for an app of this owner. A missing line and a
/// line for other roles give the same error.
pub fn secret_of_file(client_id: &str, owner: &Owner) -> Result<Secret, Failure> {
    let Some(path) = settings::app_secret_file() else {
        return Err(Failure::new(
            Kind::NotReady,
            "no client secret was given to pinterest_register_app(), and pinterest.app_secret_file is not set",
        )
        .with_hint("Call pinterest_register_app() with the client secret, or set pinterest.app_secret_file."));
    };
    let found = pinterest::read_app_secret(&path, client_id).map_err(|error| {
        Failure::new(Kind::Config, error.to_string()).with_hint(
            "Each line contains a client id, its secret and the roles that may use it. The file needs the same ownership and mode as the key file.",
        )
    })?;
    match found {
        Some(line) if may_use(owner, &line.roles)? => Ok(line.secret),
        _ => Err(Failure::new(
            Kind::NotFound,
            format!("pinterest.app_secret_file has no secret for client id {client_id} for role \"{owner}\""),
        )
        .with_hint(
            "Add a line with the client id, its secret and the role. A line without roles is for roles of level admin.",
        )),
    }
}

/// Whether apps of this owner may use a line for these roles: an owner with the rights of one of them may, or, if the line names
/// no role, an owner that administers the extension.
fn may_use(owner: &Owner, roles: &[String]) -> Result<bool, Failure> {
    if !owner.is_role() {
        // No session can use the app. Its tokens are kept fresh until the app is reassigned.
        return Ok(true);
    }
    if roles.is_empty() {
        return grants::is_admin(owner.role());
    }
    Ok(roles.iter().filter_map(|role| Owner::named(role)).any(|role| role.gives_rights_to(owner.role())))
}
