//! Extracts code blocks from the documentation, for tests that run them.

/// The fenced blocks of a page: language and content.
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

/// The statements of an SQL block without comments. No statement may contain a semicolon or `--`.
pub fn statements(block: &str) -> Vec<String> {
    let code: Vec<&str> = block.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code)).collect();
    code.join("\n").split(';').map(|statement| statement.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

/// The sections of a page: title and text, in order. A section ends with the next heading.
pub fn sections(text: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        in_block ^= line.starts_with("```");
        match line.strip_prefix('#').filter(|_| !in_block) {
            Some(title) => found.push((title.trim_start_matches('#').trim(), String::new())),
            None => found.iter_mut().last().into_iter().for_each(|(_, text)| *text += &format!("{line}\n")),
        }
    }
    found
}
