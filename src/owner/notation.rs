//! The text form of an owner, as in dumps. It needs no server, so that it can be tested without one.
//!
//! ```text
//! ann                    the role of that name
//! ann (dropped 16400)    a dropped role, and the oid it had
//! ann (missing)          a role that did not exist when the text was read
//! "ann (missing)"        a role whose name looks like one of these, or begins with a quote
//! ```
//!
//! Names are not folded to lower case. Only names that would be ambiguous are quoted.

/// An owner in its text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notation {
    /// A role of this name.
    Named(Vec<u8>),
    /// The name of a role that did not exist.
    Missing(Vec<u8>),
    /// The name and the oid of a role that was dropped.
    Dropped(Vec<u8>, u32),
}

const MISSING: &[u8] = b" (missing)";
const DROPPED: &[u8] = b" (dropped ";

impl Notation {
    /// Reads the notation. `None` if a quote is not closed, if it is followed by something else, or if the name is
    /// empty.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let notation = match text.strip_prefix(b"\"") {
            None => split(text),
            Some(quoted) => {
                let (name, rest) = unquote(quoted)?;
                match split(rest) {
                    Notation::Named(rest) if rest.is_empty() => Notation::Named(name),
                    Notation::Missing(rest) if rest.is_empty() => Notation::Missing(name),
                    Notation::Dropped(rest, role) if rest.is_empty() => Notation::Dropped(name, role),
                    _ => return None,
                }
            }
        };
        (!notation.name().is_empty()).then_some(notation)
    }

    /// The text that [`Notation::parse`] reads as the same owner.
    pub fn print(&self) -> Vec<u8> {
        let name = self.name();
        let plain = !name.starts_with(b"\"") && matches!(split(name), Notation::Named(_));
        let mut text = if plain { name.to_vec() } else { quote(name) };
        match self {
            Notation::Named(_) => {}
            Notation::Missing(_) => text.extend(MISSING),
            Notation::Dropped(_, role) => {
                text.extend(DROPPED);
                text.extend(format!("{role})").into_bytes());
            }
        }
        text
    }

    /// The role's name.
    pub fn name(&self) -> &[u8] {
        match self {
            Notation::Named(name) | Notation::Missing(name) | Notation::Dropped(name, _) => name,
        }
    }
}

/// Separates an unquoted name from its suffix. The name may be empty.
fn split(text: &[u8]) -> Notation {
    if let Some(name) = text.strip_suffix(MISSING) {
        return Notation::Missing(name.to_vec());
    }
    let dropped = || {
        let inner = text.strip_suffix(b")")?;
        let end = inner.windows(DROPPED.len()).rposition(|window| window == DROPPED)?;
        let role = &inner[end + DROPPED.len()..];
        let role: u32 =
            std::str::from_utf8(role).ok().filter(|role| role.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        (role != 0).then(|| Notation::Dropped(inner[..end].to_vec(), role))
    };
    dropped().unwrap_or_else(|| Notation::Named(text.to_vec()))
}

fn quote(name: &[u8]) -> Vec<u8> {
    let doubled = name.iter().flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    std::iter::once(b'"').chain(doubled).chain(std::iter::once(b'"')).collect()
}

/// The name up to the closing quote, and the rest.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut name, mut rest) = (Vec::new(), text);
    loop {
        match rest {
            [b'"', b'"', tail @ ..] => {
                name.push(b'"');
                rest = tail;
            }
            [b'"', tail @ ..] => return Some((name, tail)),
            [byte, tail @ ..] => {
                name.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Notation {
        Notation::Named(name.into())
    }

    #[test]
    fn each_notation() {
        for (text, notation) in [
            ("ann", named("ann")),
            ("Ann of the Barns", named("Ann of the Barns")),
            ("ann (missing)", Notation::Missing("ann".into())),
            ("ann (dropped 16400)", Notation::Dropped("ann".into(), 16400)),
            ("\"ann (missing)\"", named("ann (missing)")),
            ("\"ann (missing)\" (missing)", Notation::Missing("ann (missing)".into())),
            ("\"\"\"ann\"", named("\"ann")),
            ("ann (dropped 0)", named("ann (dropped 0)")),
            ("ann (dropped x)", named("ann (dropped x)")),
            ("ann (dropped 4294967296)", named("ann (dropped 4294967296)")),
            ("a\"b", named("a\"b")),
        ] {
            assert_eq!(Notation::parse(text.as_bytes()), Some(notation.clone()), "{text}");
            assert_eq!(String::from_utf8(notation.print()).unwrap(), text);
        }
        assert_eq!(Notation::parse(b"\"ann\""), Some(named("ann")), "unnecessary quotes are accepted");
    }

    #[test]
    fn malformed_owners_are_refused() {
        for text in ["", "\"", "\"ann", "\"\"", "\"ann\"x", "\"ann\" ", " (missing)", " (dropped 16400)"] {
            assert_eq!(Notation::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn printed_owners_are_read_as_the_same() {
        // All names of three of these parts.
        let parts = ["", "a", "\"", " ", " (missing)", " (dropped 7)", "(", "7)", "\u{e9}"];
        for place in 0..parts.len().pow(3) {
            let part = |digit: u32| parts[place / parts.len().pow(digit) % parts.len()];
            let name = [part(0), part(1), part(2)].concat().into_bytes();
            let all = [
                Notation::Named(name.clone()),
                Notation::Missing(name.clone()),
                Notation::Dropped(name.clone(), 1),
                Notation::Dropped(name.clone(), u32::MAX),
            ];
            for notation in all.into_iter().filter(|_| !name.is_empty()) {
                assert_eq!(Notation::parse(&notation.print()), Some(notation));
            }
            // Any text can be parsed without a panic.
            let _ = Notation::parse(&name);
        }
    }
}
