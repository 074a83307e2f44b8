//! The export contains all data of an account, no other account's data, and no secrets.

use sandbox::config::ImageRules;

use crate::support::canaries::{Canary, assert_absent};
use crate::support::oauth::USER;
use crate::support::prelude::*;

#[test]
fn the_export_contains_all_data_and_no_secrets() -> Result<()> {
    let board = |name: &str, pins| BoardSpec::new(name, &[Family::Beach], pins).media(MediaMix::default());
    let config = Config {
        accounts: vec![
            AccountSpec::new(USER)
                .board(board("Beach \u{1F3D6} \"quoted\"", 40).sections(&["One", "Two"]))
                .board(board("Barn", 5)),
        ],
        images: ImageRules { pool: Some(1), ..ImageRules::default() },
        ..Config::demo()
    };
    let (world, mut client) = World::of(config)?.with_session()?;
    for name in ["Beach \u{1F3D6} \"quoted\"", "Barn"] {
        import(&mut client, name)?;
    }
    let text: String = client.value("SELECT pinterest_export()::text")?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(json["account"]["username"], USER);
    let boards = list(&json["boards"]);
    assert_eq!(boards.len(), 2);
    let pins: Vec<&serde_json::Value> = boards.iter().flat_map(|board| list(&board["pins"])).collect();
    let images: usize = pins.iter().map(|pin| list(&pin["images"]).len()).sum();
    for (table, rows) in [
        ("pin", pins.len()),
        ("pin_image", images),
        ("board_section", boards.iter().map(|board| list(&board["sections"]).len()).sum()),
        ("import", list(&json["imports"]).len()),
    ] {
        let there: i64 = client.value(&format!("SELECT count(*) FROM pinterest.{table}"))?;
        assert!(there > 0);
        assert_eq!(i64::try_from(rows)?, there, "{table}");
    }
    for pin in &pins {
        let title: Option<String> =
            client.value_with("SELECT title FROM pinterest.pin WHERE pin_id = $1", &[&pin["pin_id"].as_str()])?;
        assert_eq!(pin["pinterest"]["title"].as_str(), title.as_deref());
    }
    assert!(vectors(&json).is_empty(), "vectors only on request");
    assert_absent(&Canary::tokens(&world, USER), "the export", text.as_bytes());
    let sealed: String = client.value("SELECT encode(access_token, 'hex') FROM pinterest.token")?;
    assert!(!text.contains(&sealed), "sealed tokens are not exported");

    let with_vectors: String = client.value("SELECT pinterest_export(vectors => true)::text")?;
    let json: serde_json::Value = serde_json::from_str(&with_vectors)?;
    let vectors = vectors(&json);
    let there: i64 = client.value("SELECT count(embedding) FROM pinterest.pin_image")?;
    assert_eq!(i64::try_from(vectors.len())?, there);
    assert!(vectors.iter().all(|vector| list(vector).len() == 512));
    Ok(())
}

/// The embeddings in an export.
fn vectors(json: &serde_json::Value) -> Vec<&serde_json::Value> {
    list(&json["boards"])
        .iter()
        .flat_map(|board| list(&board["pins"]))
        .flat_map(|pin| list(&pin["images"]))
        .map(|image| &image["embedding"])
        .filter(|embedding| !embedding.is_null())
        .collect()
}

fn list(json: &serde_json::Value) -> &[serde_json::Value] {
    match json.as_array() {
        Some(items) => items,
        None => panic!("not a list: {json}"),
    }
}

#[test]
fn other_roles_accounts_cannot_be_exported() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    world.cluster.create_role("other")?;
    client.batch_execute("SELECT pinterest_grant('other', 'user')")?;
    let mut other = world.cluster.connect_as("other")?;
    let foreign = refusal(other.query_one("SELECT pinterest_export($1)", &[&world.account()]));
    let missing = refusal(other.query_one("SELECT pinterest_export(987654)", &[]));
    assert_eq!((foreign.code.as_str(), missing.code.as_str()), ("42501", "42501"), "{foreign:?}");
    Ok(())
}
