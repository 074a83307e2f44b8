//! OAuth 2.0's authorization code grant (RFC 6749) as Pinterest implements it.

mod grant;
mod requests;

pub(crate) use grant::TokenAnswer;
pub use grant::TokenGrant;
pub use requests::authorize_url;
pub(crate) use requests::{code_request, refresh_request};

use crate::Secret;

/// An app registered with Pinterest.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The app's id, digits.
    pub client_id: String,
    /// The app's secret; sent to the token endpoint only, by HTTP Basic.
    pub client_secret: Secret,
    /// Literally the redirect URI registered for the app, trailing slash included.
    pub redirect_uri: String,
}
