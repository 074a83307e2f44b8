//! Client secrets of apps kept in a file, for those who want none in the database, sealed or not.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::{Secret, private_file};

/// The client secret of an app from a file with one app per line: its client id, blanks, its client secret. Empty
/// lines do not count, nor does what follows a `#` at the start of a line or after a blank. `None` where the file does
/// not name the app.
///
/// The file is held to the rules of a key file ([`crate::seal::read_key_file`]), and all of it has to be right, so that
/// a slip shows before the app it concerns is needed.
///
/// # Errors
/// [`ErrorKind::Config`] with the file and the rule or line; never anything of its content.
pub fn read_app_secret(path: &Path, client_id: &str) -> Result<Option<Secret>, Error> {
    private_file::read(path)
        .and_then(|text| find(&text, client_id))
        .map_err(|rule| Error::new(ErrorKind::Config, format!("app secret file {}: {rule}", path.display())))
}

/// As [`read_app_secret`], of a file's text.
pub(crate) fn find(text: &str, client_id: &str) -> Result<Option<Secret>, String> {
    // Which line names which app.
    let mut lines = HashMap::new();
    let mut found = None;
    for (number, line) in (1..).zip(text.lines()) {
        let fields: Vec<_> = line.split_ascii_whitespace().take_while(|field| !field.starts_with('#')).collect();
        let is_plain = |field: &str| field.bytes().all(|byte| byte.is_ascii_graphic());
        let (id, secret) = match fields[..] {
            [] => continue,
            [id, secret] if is_plain(id) && is_plain(secret) => (id, secret),
            _ => return Err(format!("line {number} is not a client id and a client secret with blanks between them")),
        };
        if let Some(first) = lines.insert(id, number) {
            return Err(format!("line {number} repeats the client id of line {first}"));
        }
        if id == client_id {
            found = Some(Secret::new(secret));
        }
    }
    Ok(found)
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
        let secret = |client_id| find(TEXT, client_id).unwrap().map(|secret| secret.expose().to_owned());
        assert_eq!(secret("1453111").as_deref(), Some("canary-one"));
        assert_eq!(secret("1453222").as_deref(), Some("canary#two"));
        for nobody in ["1453333", "145311", "", "#", "#1453333", "canary-one"] {
            assert_eq!(secret(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn a_slip_anywhere_is_refused_by_line_and_not_quoted() {
        for (line, expected) in [
            ("1453444", "line 6 is not"),
            ("1453444 # canary", "line 6 is not"),
            ("1453444 canary four", "line 6 is not"),
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
    fn the_file_is_named_and_has_to_be_private() {
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
        assert_eq!(read_app_secret(&path, "1453111").unwrap().unwrap().expose(), "canary-one");
        assert!(read_app_secret(&path, "9").unwrap().is_none());
        fs::write(&path, format!("{TEXT}canary")).unwrap();
        refused("line 6 is not");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,100}", client_id in "\\PC{0,10}") {
            let _ = find(&text, &client_id);
        }

        #[test]
        fn what_is_written_is_found(apps in prop::collection::hash_map("[0-9]{1,20}", "[!-~]{1,60}", 1..6)) {
            prop_assume!(apps.values().all(|secret| !secret.starts_with('#')));
            let text: String = apps.iter().map(|(id, secret)| format!("{id} {secret}\n")).collect();
            for (id, secret) in &apps {
                let found = find(&text, id).unwrap().unwrap();
                prop_assert_eq!(found.expose(), secret);
            }
        }
    }
}
