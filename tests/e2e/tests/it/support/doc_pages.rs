//! Pages for readers, for tests that run what they show.

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

/// The statements of a block of SQL without comments; no statement contains a semicolon or two hyphens within.
pub fn statements(block: &str) -> Vec<String> {
    let code: Vec<&str> = block.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code)).collect();
    code.join("\n").split(';').map(|statement| statement.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}
