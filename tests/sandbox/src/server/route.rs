//! Paths.

use crate::requests::Kind;

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Authorize,
    Token,
    Revoke,
    UserAccount,
    Boards,
    Board { board: String },
    BoardPins { board: String },
    Sections { board: String },
    SectionPins { board: String, section: String },
    Pin { pin: String },
    Image,
    VideoCover,
    Control,
    Unknown,
}

impl Route {
    pub(crate) fn parse(path: &str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let owned = |id: &&str| (*id).to_string();
        match segments.as_slice() {
            ["oauth"] | ["oauth", ""] => Self::Authorize,
            ["v5", "oauth", "token"] => Self::Token,
            ["v5", "oauth", "token", "revoke"] => Self::Revoke,
            ["v5", "user_account"] => Self::UserAccount,
            ["v5", "boards"] => Self::Boards,
            ["v5", "boards", board] => Self::Board { board: owned(board) },
            ["v5", "boards", board, "pins"] => Self::BoardPins { board: owned(board) },
            ["v5", "boards", board, "sections"] => Self::Sections { board: owned(board) },
            ["v5", "boards", board, "sections", section, "pins"] => {
                Self::SectionPins { board: owned(board), section: owned(section) }
            }
            ["v5", "pins", pin] => Self::Pin { pin: owned(pin) },
            ["control", ..] => Self::Control,
            ["videos", "thumbnails", "originals", _, _, _, _] => Self::VideoCover,
            [_, _, _, _, _] => Self::Image,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Authorize => Kind::Authorize,
            Self::Token => Kind::Token,
            Self::Revoke => Kind::Revoke,
            Self::UserAccount => Kind::UserAccount,
            Self::Boards => Kind::Boards,
            Self::Board { .. } => Kind::Board,
            Self::BoardPins { .. } => Kind::BoardPins,
            Self::Sections { .. } => Kind::Sections,
            Self::SectionPins { .. } => Kind::SectionPins,
            Self::Pin { .. } => Kind::Pin,
            Self::Image => Kind::Image,
            Self::VideoCover => Kind::VideoCover,
            Self::Control | Self::Unknown => Kind::Unknown,
        }
    }

    /// The only method of this path.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Token | Self::Revoke => "POST",
            _ => "GET",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_kinds() {
        let kinds = [
            ("/oauth/", Kind::Authorize),
            ("/v5/oauth/token", Kind::Token),
            ("/v5/oauth/token/revoke", Kind::Revoke),
            ("/v5/boards", Kind::Boards),
            ("/v5/boards/1/pins", Kind::BoardPins),
            ("/v5/boards/1/sections/2/pins", Kind::SectionPins),
            ("/v5/user_account/boards", Kind::Unknown),
            ("/600x/aa/bb/cc/hash.jpg", Kind::Image),
            ("/videos/thumbnails/originals/aa/bb/cc/hash.0000000.jpg", Kind::VideoCover),
            ("/", Kind::Unknown),
        ];
        for (path, kind) in kinds {
            assert_eq!(Route::parse(path).kind(), kind, "{path}");
        }
    }
}
