//! The subject of a refusal of access. Pinterest answers 401 with code 3 to an app without access, for a missing scope and
//! for a feature that is open to some apps only. It documents none of the texts: so single words decide, not sentences.

/// The subject of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The app's access to the API.
    AppAccess,
    /// A scope of the token.
    MissingScope,
    /// A feature, endpoint or object that is open to some apps only.
    Restricted,
    /// Not known.
    Unknown,
}

/// Words for the app.
const APP: [&str; 7] = ["application", "app", "apps", "consumer", "client", "developer account", "integration"];
/// Words for missing access.
const NO_ACCESS: [&str; 21] = [
    "not supported",
    "unsupported",
    "not approved",
    "not been approved",
    "not yet approved",
    "awaiting approval",
    "pending approval",
    "pending review",
    "under review",
    "not been reviewed",
    "not active",
    "not activated",
    "inactive",
    "deactivated",
    "disabled",
    "suspended",
    "not have access",
    "no access",
    "not been granted access",
    "trial access",
    "access denied",
];
/// Words for a scope.
const SCOPE: [&str; 3] = ["scope", "scopes", "permission missing"];
/// Words for restricted features.
const RESTRICTED: [&str; 15] = [
    "restricted",
    "restriction",
    "feature",
    "beta",
    "allowlist",
    "allowlisted",
    "whitelist",
    "whitelisted",
    "gated",
    "endpoint",
    "not enabled",
    "not available",
    "not eligible",
    "partners only",
    "limited availability",
];

/// The subject of these texts.
pub(super) fn meaning(texts: &[String]) -> Meaning {
    let names_scope = texts.iter().any(|text| names_a_scope(text));
    // Only words count, not case and punctuation.
    let mut words = String::from(" ");
    for text in texts {
        let plain = text.to_lowercase().replace("n't", " not");
        words.extend(plain.chars().map(|character| if character.is_alphanumeric() { character } else { ' ' }));
        words.push(' ');
    }
    let words = format!(" {} ", words.split_whitespace().collect::<Vec<_>>().join(" "));
    let mentions = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(&format!(" {phrase} ")));
    if mentions(&["consumer type", "consumertype"]) {
        return Meaning::AppAccess;
    }
    if names_scope || mentions(&SCOPE) {
        return Meaning::MissingScope;
    }
    // "Your app does not have access to this feature" is about the feature.
    if mentions(&RESTRICTED) {
        return Meaning::Restricted;
    }
    if mentions(&APP) && mentions(&NO_ACCESS) {
        return Meaning::AppAccess;
    }
    Meaning::Unknown
}

/// Whether the text names a scope, such as `boards:read_secret`.
fn names_a_scope(text: &str) -> bool {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '_' | ':'))).any(|word| {
        let lower = word.to_ascii_lowercase();
        let Some((subject, right)) = lower.split_once(':') else { return false };
        !subject.is_empty() && matches!(right, "read" | "write" | "read_secret" | "write_secret")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide() {
        use Meaning::*;
        for (text, expected) in [
            ("Your application consumer type is not supported, please contact support.", AppAccess),
            ("your application's CONSUMER TYPE isn't supported", AppAccess),
            ("Consumer-type: unsupported", AppAccess),
            ("App is deactivated. Please submit appeal in Help Center.", AppAccess),
            ("This app has not been approved yet", AppAccess),
            ("Your application doesn't have access. Request trial access.", AppAccess),
            ("Your developer account is suspended", AppAccess),
            ("Authorization failed. Missing: ['boards:read']", MissingScope),
            ("MISSING REQUIRED SCOPE(S): Pins:Read", MissingScope),
            ("The token lacks the required scope for this endpoint", MissingScope),
            ("Your app has insufficient scopes", MissingScope),
            ("Restricted feature", Restricted),
            ("Your app does not have access to this feature", Restricted),
            ("This endpoint is in beta; your application is not allowlisted", Restricted),
            ("Authorization failed.", Unknown),
            ("", Unknown),
            ("You are not permitted to access that resource.", Unknown),
            ("Apply happiness", Unknown),
            ("12:30 and http://read", Unknown),
        ] {
            assert_eq!(meaning(&[text.to_owned()]), expected, "{text}");
        }
        let two = ["Authorization failed.".to_owned(), "consumer type".to_owned()];
        assert_eq!(meaning(&two), AppAccess);
    }
}
