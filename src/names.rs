//! Errors for references that match no board or section, or several.

use pinterest::{Closest, LeadsTo, NotABoard, SectionReference};

use crate::errors::{Failure, Kind};

/// The most names that a message lists.
const MOST_NAMES: usize = 20;
/// The most characters of each name.
const LONGEST_NAME: usize = 60;

/// Names separated by commas, the first [`MOST_NAMES`] of them.
pub fn listed(names: impl IntoIterator<Item = String>) -> String {
    let mut names = names.into_iter();
    let mut words: Vec<String> = names.by_ref().take(MOST_NAMES).collect();
    match names.count() {
        0 => {}
        more => words.push(format!("and {more} more")),
    }
    words.join(", ")
}

/// A name, truncated if it is long.
pub fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The error for a reference that matches several boards or sections; `of` has the id of each and a text that distinguishes it.
pub fn ambiguous(what: &str, wanted: &str, of: Vec<(String, String)>, hint: &str) -> Failure {
    let ids = listed(of.iter().map(|(id, name)| format!("{id} ({})", shortened(name))));
    Failure::new(Kind::BadArgument, format!("{} {what} are named \"{}\"", of.len(), shortened(wanted)))
        .with_hint(format!("{hint}: {ids}."))
}

/// The id of the section that a reference matches, among the ids and names of a board's sections.
///
/// # Errors
/// [`Kind::NotFound`]: none matches; [`Kind::BadArgument`]: several match.
pub fn section(sections: &[(String, String)], wanted: &SectionReference, board: &str) -> Result<String, Failure> {
    let mut closest = Closest::default();
    for (id, name) in sections {
        closest.offer((id, name), wanted.likeness(id, name));
    }
    let mut found = closest.into_found();
    // A listing may contain a section twice.
    found.sort_unstable();
    found.dedup_by_key(|(id, _)| *id);
    match found.as_slice() {
        [(id, _)] => Ok((*id).clone()),
        [] => Err(Failure::new(Kind::NotFound, format!("{board} has no section \"{}\"", shortened(wanted.text())))
            .with_hint(match sections {
                [] => "It has no sections.".to_owned(),
                sections => format!("It has: {}.", listed(sections.iter().map(|(_, name)| shortened(name)))),
            })),
        several => Err(ambiguous(
            &format!("sections of {board}"),
            wanted.text(),
            several.iter().map(|(id, name)| ((*id).clone(), (*name).clone())).collect(),
            "Pass the id of one of them in sections",
        )),
    }
}

impl From<NotABoard> for Failure {
    fn from(other: NotABoard) -> Self {
        let hint = match other.leads_to() {
            LeadsTo::ShortLink => {
                "Open it in a browser, and give the address of the board that it leads to, as https://www.pinterest.com/USER/BOARD/."
            }
            LeadsTo::Profile | LeadsTo::ProfileTab => {
                "Give one board by its title, its id or its address, https://www.pinterest.com/USER/BOARD/. SELECT * FROM pinterest_list_boards() lists the account's boards."
            }
            LeadsTo::WithText | LeadsTo::UserInfo | LeadsTo::Port | LeadsTo::OtherScheme | LeadsTo::TooManyParts => {
                "Give the address alone, as https://www.pinterest.com/USER/BOARD/ or https://www.pinterest.com/USER/BOARD/SECTION/, or the board's title or id."
            }
            _ => {
                "Give a board by its title, its id or its address, https://www.pinterest.com/USER/BOARD/. SELECT * FROM pinterest_list_boards() lists the account's boards."
            }
        };
        Failure::new(Kind::BadArgument, other.to_string()).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(names: &[&str]) -> Vec<(String, String)> {
        (1..).zip(names).map(|(id, name)| (id.to_string(), (*name).to_owned())).collect()
    }

    #[test]
    fn a_section_is_chosen_or_the_others_are_listed() {
        let rooms = sections(&["Bath", "Grand hall", "GRAND HALL", "Straße"]);
        let chosen = |text: &str| section(&rooms, &SectionReference::named(text), "board \"Rooms\"");
        assert_eq!(chosen("Grand hall").unwrap(), "2");
        assert_eq!(chosen("strasse").unwrap(), "4");
        assert_eq!(chosen("1").unwrap(), "1");
        let several = chosen("grand hall").unwrap_err();
        assert_eq!(several.sqlstate(), "22023");
        assert!(several.hint().unwrap().contains("2 (Grand hall), 3 (GRAND HALL)"), "{several:?}");
        let none = chosen("Cellar").unwrap_err();
        assert_eq!(
            (none.sqlstate().as_str(), none.message.as_str()),
            ("42704", "board \"Rooms\" has no section \"Cellar\"")
        );
        let repeated: Vec<_> = rooms.iter().chain(&rooms).cloned().collect();
        assert_eq!(section(&repeated, &SectionReference::named("bath"), "the board").unwrap(), "1");
    }

    #[test]
    fn long_lists_and_names_are_cut() {
        let many: Vec<String> = (0..500).map(|number| format!("{number} {}", "ü".repeat(300))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let none = section(&sections(&many), &SectionReference::named(&"x".repeat(5000)), "the board").unwrap_err();
        assert!(none.message.len() < 300 && none.hint().unwrap().len() < 4000, "{none:?}");
        assert!(none.hint().unwrap().ends_with("and 480 more."));
    }
}
