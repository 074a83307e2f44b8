//! Pages of docs/, for tests that run what they show.

/// A fenced block: what it holds, and its language.
pub fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((language, body.join("\n")));
        }
    }
    found
}

/// The statements of a block of SQL, without the comments before them; none has a semicolon within.
pub fn statements(block: &str) -> impl Iterator<Item = &str> {
    block.split(';').map(without_comments).filter(|statement| !statement.is_empty())
}

fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim();
    while rest.starts_with("--") {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest.trim_start());
    }
    rest
}
