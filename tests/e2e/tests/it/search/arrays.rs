//! Many images or texts in one call.

use std::io::Cursor;

use image::ImageFormat;
use sandbox::scene;

use crate::support::prelude::*;

/// More than the embedder reads from one connection before it answers.
const MANY: usize = 150;

fn photo(family: Family, seed: u64) -> Result<Vec<u8>> {
    let mut photo = Cursor::new(Vec::new());
    scene::draw(family, seed, 320, 480).write_to(&mut photo, ImageFormat::Jpeg)?;
    Ok(photo.into_inner())
}

#[test]
fn arrays_give_the_embeddings_of_single_calls() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 1)?.with_session()?;
    // Embeddings of a batch and of single calls differ by rounding only.
    let same = "SELECT cardinality(many) = $2 AND bool_and((one IS NULL AND many[place] IS NULL) OR many[place] <=> one < 1e-6)
                  FROM given, LATERAL unnest(input) WITH ORDINALITY AS u(input, place),
                       LATERAL (SELECT CASE WHEN u.input IS NOT NULL THEN EMBED_ONE(u.input) END AS one) AS alone
                 GROUP BY many";
    let texts: Vec<Option<String>> =
        (0..MANY).map(|number| (number % 10 != 3).then(|| format!("barn {number}"))).collect();
    let sql = format!(
        "WITH given AS MATERIALIZED (SELECT $1::text[] AS input, pinterest_embed_texts($1::text[]) AS many) {}",
        same.replace("EMBED_ONE", "pinterest_embed_text")
    );
    assert!(client.value_with::<bool>(&sql, &[&texts, &(MANY as i32)])?);

    let images = [Family::Barn, Family::Beach, Family::Garden];
    let mut images =
        (0..).zip(images).map(|(seed, family)| photo(family, seed).map(Some)).collect::<Result<Vec<_>>>()?;
    images.insert(1, None);
    images.push(images[0].clone());
    let sql = format!(
        "WITH given AS MATERIALIZED (SELECT $1::bytea[] AS input, pinterest_embed_images($1::bytea[]) AS many) {}",
        same.replace("EMBED_ONE", "pinterest_embed_image")
    );
    assert!(client.value_with::<bool>(&sql, &[&images, &5_i32])?);
    assert_eq!(client.value::<String>("SELECT pg_typeof(pinterest_embed_texts('{a}'))::text")?, "vector[]");
    Ok(())
}

#[test]
fn empty_arrays_make_no_request() -> Result<()> {
    let (_world, mut client) =
        World::builder().sandbox(quick_board("Beach", 1)).model("/nonexistent/model").start()?.with_session()?;
    for (expression, expected) in [
        ("pinterest_embed_texts('{}')", "{}"),
        ("pinterest_embed_images('{}')", "{}"),
        ("pinterest_embed_texts('{NULL,NULL}')", "{NULL,NULL}"),
        ("coalesce(pinterest_embed_images(NULL)::text, 'null')", "null"),
    ] {
        assert_eq!(client.value::<String>(&format!("SELECT ({expression})::text"))?, expected, "{expression}");
    }
    Ok(())
}

#[test]
fn errors_give_the_position_of_the_element() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let good = photo(Family::Barn, 1)?;
    let mut cut_off = good.clone();
    cut_off.truncate(good.len() / 2);
    let images = |bad: &[u8]| vec![Some(good.clone()), None, Some(bad.to_vec()), Some(good.clone())];
    for (bad, code) in [(&b"no picture"[..], "0A000"), (&cut_off, "22P03"), (b"", "22P03")] {
        let together = refusal(client.query("SELECT pinterest_embed_images($1)", &[&images(bad)]));
        let alone = refusal(client.query("SELECT pinterest_embed_image($1)", &[&bad]));
        assert_eq!((together.code.as_str(), &together.code), (code, &alone.code), "{together:?}");
        assert_eq!(together.message, format!("element 3: {}", alone.message));
        assert_eq!(together.hint, alone.hint);
    }
    for (argument, code, message) in [
        ("ARRAY['a barn', ' ']", "22023", "element 2: "),
        ("'{{a,b},{c,d}}'", "22023", "texts must be an array of one dimension, not of 2"),
        ("array_fill('a barn'::text, '{1001}')", "54000", "texts has 1001 elements, more than the limit of 1000"),
    ] {
        let refused = client.refused(&format!("SELECT pinterest_embed_texts({argument})"), code);
        assert!(refused.message.starts_with(message), "{refused:?}");
    }
    client.refused(
        "SELECT pinterest_embed_images(array_fill(convert_to(repeat('x', 1 << 20), 'UTF8'), '{257}'))",
        "54000",
    );
    // The session still works.
    client.query("SELECT pinterest_embed_texts('{a barn}')", &[])?;
    Ok(())
}
