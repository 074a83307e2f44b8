//! Client secrets of apps in a file, as an alternative to storing them sealed in the database.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::{Secret, private_file};

/// An app's line in the file.
#[derive(Debug)]
pub struct AppSecret {
    /// The client secret.
    pub secret: Secret,
    /// Names of the roles that may use it; empty if the line has none.
    pub roles: Vec<String>,
}

/// The line of an app in a file with one app per line: the client id, blanks, the client secret, and optionally blanks and
/// a comma-separated list of roles. A role's name with blanks, commas or quotes must be in double quotes, with quotes
/// inside doubled, as in SQL. Empty lines and comments are ignored; a comment starts with a `#` at the start of a line or
/// after a blank. `None` if the file has no line for the app.
///
/// The file must meet the rules of a key file ([`crate::seal::read_key_file`]). Every line is checked, so that a mistake is
/// found before its app is needed.
///
/// # Errors
/// [`ErrorKind::Config`] with the file and the rule or line; never anything of its content.
pub fn read_app_secret(path: &Path, client_id: &str) -> Result<Option<AppSecret>, Error> {
    private_file::read(path)
        .and_then(|text| find(&text, client_id))
        .map_err(|rule| Error::new(ErrorKind::Config, format!("app secret file {}: {rule}", path.display())))
}

/// As [`read_app_secret`], of a file's text.
pub(crate) fn find(text: &str, client_id: &str) -> Result<Option<AppSecret>, String> {
    // The line number of each client id.
    let mut lines = HashMap::new();
    let mut found = None;
    for (number, line) in (1..).zip(text.lines()) {
        let Some((id, rest)) = field(line) else { continue };
        let is_plain = |field: &str| field.bytes().all(|byte| byte.is_ascii_graphic());
        let read = field(rest)
            .filter(|(secret, _)| is_plain(id) && is_plain(secret))
            .and_then(|(secret, rest)| Some((secret, roles(rest)?)));
        let Some((secret, roles)) = read else {
            return Err(format!(
                "line {number} is not a client id, a client secret and a list of roles, separated by blanks"
            ));
        };
        if let Some(first) = lines.insert(id, number) {
            return Err(format!("line {number} repeats the client id of line {first}"));
        }
        if id == client_id {
            found = Some(AppSecret { secret: Secret::new(secret), roles });
        }
    }
    Ok(found)
}

/// The text before the next blank, and the rest; `None` at the end of the line or at a comment.
fn field(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let end = text.find(|character: char| character.is_ascii_whitespace()).unwrap_or(text.len());
    (end > 0 && !text.starts_with('#')).then(|| text.split_at(end))
}

/// The names in a list of roles, up to a comment; `None` if the list is malformed.
fn roles(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim_ascii();
    while !(rest.is_empty() || rest.starts_with('#')) {
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(|c: char| c.is_ascii_whitespace() || c == ',' || c == '"').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if name.is_empty() || name.chars().any(char::is_control) {
            return None;
        }
        names.push(name);
        rest = match behind.trim_ascii_start().strip_prefix(',') {
            Some(more) => Some(more.trim_ascii_start()).filter(|more| !(more.is_empty() || more.starts_with('#')))?,
            // A comment needs a blank before it.
            None => match behind.trim_ascii_start() {
                "" => "",
                comment if comment.starts_with('#') && behind.starts_with(|c: char| c.is_ascii_whitespace()) => "",
                _ => return None,
            },
        };
    }
    Some(names)
}

/// A name up to its closing quote, and the rest.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut name, mut rest) = (String::new(), text);
    loop {
        let (before, behind) = rest.split_once('"')?;
        name.push_str(before);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# our apps\r\n\n  1453111  canary-one # the site\n1453222\tcanary#two\n#1453333 canary-three\n";

    #[test]
    fn each_app_has_its_own() {
        let secret = |client_id| find(TEXT, client_id).unwrap().map(|line| line.secret.expose().to_owned());
        assert_eq!(secret("1453111").as_deref(), Some("canary-one"));
        assert_eq!(secret("1453222").as_deref(), Some("canary#two"));
        for unknown in ["1453333", "145311", "", "#", "#1453333", "canary-one"] {
            assert_eq!(secret(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn roles_follow_the_secret() {
        for (list, expected) in [
            ("", &[][..]),
            (" # ann", &[]),
            (" ann", &["ann"]),
            ("\tann,ben , Carl # the site", &["ann", "ben", "Carl"]),
            (" ann#1", &["ann#1"]),
            (" \"ann of the barns\", \"b,\"\"en\"\"\" #", &["ann of the barns", "b,\"en\""]),
            (" \"#ann\",zo\u{eb}", &["#ann", "zo\u{eb}"]),
        ] {
            let found = find(&format!("1453111 canary-one{list}\r\n"), "1453111").unwrap().unwrap();
            assert_eq!(
                (found.secret.expose(), found.roles.as_slice()),
                ("canary-one", &*expected.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "{list}"
            );
            assert!(!format!("{found:?}").contains("canary"), "{found:?}");
        }
    }

    #[test]
    fn a_mistake_is_reported_by_line_and_not_quoted() {
        for (line, expected) in [
            ("1453444", "line 6 is not"),
            ("1453444 # canary", "line 6 is not"),
            ("1453444 canary four five", "line 6 is not"),
            ("1453444 canary four,", "line 6 is not"),
            ("1453444 canary ,four", "line 6 is not"),
            ("1453444 canary four,,five", "line 6 is not"),
            ("1453444 canary four, # five", "line 6 is not"),
            ("1453444 canary \"four", "line 6 is not"),
            ("1453444 canary \"\"", "line 6 is not"),
            ("1453444 canary \"four\"five", "line 6 is not"),
            ("1453444 canary \"four\"#five", "line 6 is not"),
            ("1453444 canäry", "line 6 is not"),
            ("1453444 canary\u{7}", "line 6 is not"),
            ("1453222 canary-two", "line 6 repeats the client id of line 4"),
        ] {
            let rule = find(&format!("{TEXT}{line}\n"), "1453111").unwrap_err();
            assert!(rule.starts_with(expected), "{line}: {rule}");
            assert!(!rule.contains("can") && !rule.contains("1453"), "{rule}");
        }
    }

    #[test]
    fn the_error_names_the_file_which_must_be_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets");
        let refused = |expected: &str| {
            let error = read_app_secret(&path, "1453111").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("/secrets: ") && shown.contains(expected) && !shown.contains("canary"), "{shown}");
        };
        refused("it cannot be opened");
        fs::write(&path, TEXT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        refused("its mode is 0640");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_app_secret(&path, "1453111").unwrap().unwrap().secret.expose(), "canary-one");
        assert!(read_app_secret(&path, "9").unwrap().is_none());
        fs::write(&path, format!("{TEXT}canary")).unwrap();
        refused("line 6 is not");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,100}", client_id in "\\PC{0,10}") {
            let _ = find(&text, &client_id);
            let _ = find(&format!("1 x {text}"), &client_id);
        }

        #[test]
        fn every_written_secret_is_found(apps in prop::collection::hash_map("[0-9]{1,20}", "[!-~]{1,60}", 1..6)) {
            prop_assume!(apps.values().all(|secret| !secret.starts_with('#')));
            let text: String = apps.iter().map(|(id, secret)| format!("{id} {secret}\n")).collect();
            for (id, secret) in &apps {
                let found = find(&text, id).unwrap().unwrap();
                prop_assert_eq!(found.secret.expose(), secret);
                prop_assert!(found.roles.is_empty());
            }
        }
    }
}
