//! `NAME=FAMILIES:PINS[:secret][:sections=A,B]`.

use sandbox::config::{BoardSpec, Privacy};
use sandbox::scene::Family;

pub fn parse(text: &str) -> Result<BoardSpec, String> {
    let form = || format!("{text:?} must have the form NAME=FAMILIES:PINS[:secret][:sections=A,B]");
    // Titles of sections may contain the other separators.
    let (board, sections) = match text.split_once(":sections=") {
        Some((board, titles)) => (board, titles.split(',').collect()),
        None => (text, Vec::new()),
    };
    if sections.contains(&"") {
        return Err(form());
    }
    let (name, rest) = board.rsplit_once('=').ok_or_else(form)?;
    let mut parts = rest.split(':');
    let (families, pins) = parts.next().zip(parts.next()).ok_or_else(form)?;
    let families: Vec<Family> = families
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|error: sandbox::scene::UnknownFamily| error.to_string())?;
    let pins = pins.parse().map_err(|_| form())?;
    let board = BoardSpec::new(name, &families, pins).sections(&sections);
    match (parts.next(), parts.next()) {
        (None, _) => Ok(board),
        (Some("secret"), None) => Ok(board.privacy(Privacy::Secret)),
        _ => Err(form()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_parsed() {
        let board = parse("Barn = hay=barn,garden:48").expect("valid");
        assert_eq!((board.name.as_str(), board.pins), ("Barn = hay", 48));
        assert_eq!(board.families, [Family::Barn, Family::Garden]);
        assert_eq!(parse("X=barn:1:secret").expect("valid").privacy, Privacy::Secret);
        let board = parse("Räume=barn:9:secret:sections=Großer Saal,廊下").expect("valid");
        assert_eq!(
            (board.privacy, board.sections.as_slice()),
            (Privacy::Secret, &["Großer Saal".into(), "廊下".into()][..])
        );
        for wrong in [
            "X=barn:1:sections=",
            "X=barn:1:sections=A,,B",
            "",
            "X",
            "X=barn",
            "X=barn:",
            "X=barn:-1",
            "X=castle:1",
            "X=barn:1:open",
            "X=barn:1:secret:2",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
