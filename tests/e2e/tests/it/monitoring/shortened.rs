//! The shipped rules with shorter times, for tests that see an alert fire.

/// Every time is divided by this.
const FACTOR: f64 = 200.0;

/// The rules with shortened durations (`for: 15m`, `[15m]`) and numbers of seconds (`15 * 60`).
pub fn rules(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once("for: ") {
        Some((indentation, duration)) if indentation.trim().is_empty() => {
            format!("{indentation}for: {}", duration_of(duration))
        }
        _ => ranges(line),
    });
    let mut text = lines.collect::<Vec<_>>().join("\n");
    for seconds in [60.0, 3_600.0, 86_400.0] {
        text = text.replace(&format!(" * {seconds}"), &format!(" * {}", seconds / FACTOR));
    }
    text + "\n"
}

/// A line with its ranges shortened.
fn ranges(line: &str) -> String {
    let mut parts = line.split('[');
    let mut shortened = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shortened.push('[');
        match part.split_once(']') {
            Some((duration, rest)) => shortened.push_str(&format!("{}]{rest}", duration_of(duration))),
            None => shortened.push_str(part),
        }
    }
    shortened
}

/// A shortened duration in milliseconds.
fn duration_of(text: &str) -> String {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => panic!("not a duration: {text:?}"),
    };
    let number: f64 = number.parse().unwrap_or_else(|_| panic!("not a duration: {text:?}"));
    format!("{:.0}ms", number * seconds / FACTOR * 1_000.0)
}

#[test]
fn every_kind_of_time_is_shortened() {
    let text =
        "expr: increase(a[1h]) > 2 and b > 15 * 60 or increase(b[15m]) < c - 5 * 86400\nfor: 5m\nsummary: for: 5m";
    let short = "expr: increase(a[18000ms]) > 2 and b > 15 * 0.3 or increase(b[4500ms]) < c - 5 * 432\nfor: 1500ms\nsummary: for: 5m\n";
    assert_eq!(rules(text), short);
}
