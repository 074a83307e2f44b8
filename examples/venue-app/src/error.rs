//! What users read when something does not work.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use deadpool_postgres::PoolError;

pub type Result<T> = std::result::Result<T, Error>;

pub enum Error {
    /// The user has to sign in, or to connect an account, on this page first.
    Elsewhere(&'static str),
    /// One of the cases in [`explain`].
    Case(&'static str),
    Other(anyhow::Error),
}

/// Status, title, explanation, and whether connecting Pinterest again can help.
pub struct Explanation(pub u16, pub &'static str, pub &'static str, pub bool);

#[derive(Template)]
#[template(path = "problem.html", blocks = ["content"])]
struct Problem(Explanation);

/// Explains a case of this app, or an error of the database by its SQLSTATE. The README of pg_pinterest lists those.
#[rustfmt::skip]
pub fn explain(case: &str) -> Explanation {
    let (status, title, text, connect) = match case {
        "not found" => (404, "There is nothing here", "This address leads nowhere.", false),
        "other site" => (403, "Not allowed", "Another site has caused this request.", false),
        "foreign state" => (403, "This link is not from you", "This browser has not begun this authorization, or has \
            completed it already. Nothing was connected.", true),
        "declined" => (200, "Not connected", "You have not allowed this site to read your boards.", true),
        "28000" => (409, "Please connect Pinterest again", "Pinterest no longer accepts this connection, or the \
            authorization is too old or was used before.", true),
        "42501" => (403, "Pinterest does not show this", "This connection may not read it. For a secret board, connect \
            again and allow secret boards.", true),
        "53400" => (429, "Pinterest asks us to wait", "Please try again in a few minutes.", false),
        "55000" => (409, "Not ready yet", "Pinterest has not given this site access yet, or there is nothing to compare. \
            Please try again later.", false),
        "42704" => (404, "This board is not there", "It may have been deleted at Pinterest.", false),
        "23505" => (409, "This Pinterest account is taken", "Another user of this site has connected it.", false),
        "08000" | "08001" | "08004" | "08006" | "08P01" =>
            (502, "Pinterest does not respond", "Please try again in a moment.", false),
        "40001" | "40P01" | "53000" | "53200" | "53300" | "57000" | "57014" | "57P01" | "57P02" | "57P03" =>
            (503, "Busy at the moment", "Please try again in a moment.", false),
        _ => (500, "Something is broken here", "It is not your fault, and the cause has been logged.", false),
    };
    Explanation(status, title, text, connect)
}

impl<E: Into<anyhow::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Error::Other(error.into())
    }
}

impl Error {
    /// Explains the error and logs it. The messages of pg_pinterest contain no tokens or codes.
    fn explain(&self) -> Explanation {
        match self {
            Error::Case(case) => explain(case),
            Error::Elsewhere(_) => explain("28000"),
            Error::Other(error) => {
                eprintln!("error: {error:#}");
                match error.downcast_ref::<tokio_postgres::Error>() {
                    // Without a code, the connection to the server is lost.
                    Some(error) => explain(error.code().map_or("57P01", |code| code.code())),
                    None if error.is::<PoolError>() => explain("57P03"),
                    None => explain(""),
                }
            }
        }
    }

    /// The error as the content of an open page.
    pub fn content(&self) -> String {
        Problem(self.explain()).as_content().render().unwrap_or_default()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Error::Elsewhere(path) => Redirect::to(path).into_response(),
            error => {
                let explanation = error.explain();
                let status = StatusCode::from_u16(explanation.0).unwrap_or_default();
                (status, Html(Problem(explanation).render().unwrap_or_default())).into_response()
            }
        }
    }
}
