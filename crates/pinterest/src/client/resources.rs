//! The API's read calls: account, boards, sections, pins.

use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, Request};
use url::Url;
use zeroize::Zeroizing;

use super::{Answer, Client};
use crate::error::{Call, Error, ErrorKind, Redactor, Refusal};
use crate::model::{Board, Pin, Section, UserAccount, is_id, read_account, read_item, read_page};
use crate::page::{PAGE_SIZE, Page};
use crate::secret::Secret;

impl Client {
    /// The token's account: `GET /v5/user_account`.
    ///
    /// # Errors
    /// As every API call: [`ErrorKind::Unauthorized`] (refresh once, repeat once), [`ErrorKind::AppAccess`],
    /// [`ErrorKind::MissingScope`], [`ErrorKind::Restricted`], [`ErrorKind::NotPermitted`], [`ErrorKind::Forbidden`],
    /// [`ErrorKind::NotFound`], [`ErrorKind::RateLimited`], [`ErrorKind::SpamHold`], the other retryable kinds, and
    /// [`ErrorKind::TooLarge`] and [`ErrorKind::Protocol`] for an invalid answer.
    pub async fn user_account(&self, token: &Secret) -> Result<Answer<UserAccount>, Error> {
        // An account has no required member: a failure with status 200 would be read as one.
        let read = |body: &[u8]| match read_account(body)? {
            account if account.id.is_none() && is_failure(body) => Err(Error::new(ErrorKind::Protocol, "a failure")),
            account => Ok(account),
        };
        self.get("GET /v5/user_account", token, self.url(&["user_account"])?, read).await
    }

    /// One page of the boards the account owns or collaborates on: `GET /v5/boards`.
    ///
    /// # Errors
    /// As [`Client::user_account`], and [`ErrorKind::StaleBookmark`].
    pub async fn boards(&self, token: &Secret, bookmark: Option<&str>) -> Result<Answer<Page<Board>>, Error> {
        self.get("GET /v5/boards", token, self.page_url(&["boards"], bookmark)?, read_page).await
    }

    /// One board: `GET /v5/boards/{board_id}`.
    ///
    /// # Errors
    /// As [`Client::user_account`].
    pub async fn board(&self, token: &Secret, board_id: &str) -> Result<Answer<Board>, Error> {
        self.get("GET /v5/boards/{board_id}", token, self.url(&["boards", id(board_id)?])?, read_item).await
    }

    /// One page of a board's pins, those in its sections included: `GET /v5/boards/{board_id}/pins`.
    ///
    /// # Errors
    /// As [`Client::user_account`], and [`ErrorKind::StaleBookmark`], [`ErrorKind::ListingLimit`].
    pub async fn board_pins(
        &self,
        token: &Secret,
        board_id: &str,
        bookmark: Option<&str>,
    ) -> Result<Answer<Page<Pin>>, Error> {
        let url = self.page_url(&["boards", id(board_id)?, "pins"], bookmark)?;
        self.get("GET /v5/boards/{board_id}/pins", token, url, read_page).await
    }

    /// One page of a board's sections: `GET /v5/boards/{board_id}/sections`.
    ///
    /// # Errors
    /// As [`Client::board_pins`].
    pub async fn sections(
        &self,
        token: &Secret,
        board_id: &str,
        bookmark: Option<&str>,
    ) -> Result<Answer<Page<Section>>, Error> {
        let url = self.page_url(&["boards", id(board_id)?, "sections"], bookmark)?;
        self.get("GET /v5/boards/{board_id}/sections", token, url, read_page).await
    }

    /// One pin, for fresh image URLs: `GET /v5/pins/{pin_id}`.
    ///
    /// # Errors
    /// As [`Client::user_account`].
    pub async fn pin(&self, token: &Secret, pin_id: &str) -> Result<Answer<Pin>, Error> {
        self.get("GET /v5/pins/{pin_id}", token, self.url(&["pins", id(pin_id)?])?, read_item).await
    }

    async fn get<T>(
        &self,
        action: &'static str,
        token: &Secret,
        url: Url,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Answer<T>, Error> {
        let with_bookmark = url.query_pairs().any(|(name, _)| name == "bookmark");
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(AUTHORIZATION, bearer(token).map_err(|error| error.while_doing(action))?);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let redactor = Redactor::new([token]);
        let answered = self.exchange(request, self.limits.page).await.map_err(|error| error.while_doing(action))?;
        if !answered.is_success() {
            return Err(self.refusal(Call::Api { with_bookmark }, &answered, &redactor).while_doing(action));
        }
        let request_id = self.request_id(&answered.headers, &redactor);
        match read(&answered.body) {
            Ok(value) => Ok(Answer { value, rate_limit: self.rate_limit(&answered.headers), request_id }),
            Err(_) if is_failure(&answered.body) => {
                Err(self.refusal(Call::Api { with_bookmark }, &answered, &redactor).while_doing(action))
            }
            Err(error) => Err(error.with_status(answered.status).with_request_id(request_id).while_doing(action)),
        }
    }

    pub(super) fn url(&self, segments: &[&str]) -> Result<Url, Error> {
        self.base
            .join(&segments.join("/"))
            .map_err(|_| Error::new(ErrorKind::Config, "the API host is not a valid host of a URL"))
    }

    /// A bookmark belongs to the listing it came from; it is sent percent-encoded, whatever its text.
    fn page_url(&self, segments: &[&str], bookmark: Option<&str>) -> Result<Url, Error> {
        let mut url = self.url(segments)?;
        url.query_pairs_mut().append_pair("page_size", &PAGE_SIZE.to_string());
        if let Some(bookmark) = bookmark {
            url.query_pairs_mut().append_pair("bookmark", bookmark);
        }
        Ok(url)
    }
}

/// Whether the body of an answer with status 200 describes a failure. Refusals are short.
fn is_failure(body: &[u8]) -> bool {
    const LONGEST: usize = 16 * 1024;
    body.len() <= LONGEST && Refusal::read(body).is_failure()
}

/// Digits only, so that an id cannot change the path. The error does not repeat it: it may be a token.
fn id(text: &str) -> Result<&str, Error> {
    if is_id(text) { Ok(text) } else { Err(Error::new(ErrorKind::BadRequest, "an id must have 1 to 32 digits")) }
}

fn bearer(token: &Secret) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Error::new(ErrorKind::Config, "the access token contains characters that are not allowed in a header")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
