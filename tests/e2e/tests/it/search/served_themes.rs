//! Themes for which a table has no similar rows take no places from the others.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use fastrand::Rng;

use crate::support::prelude::*;
use crate::support::search::column;

const DIMENSION: usize = 512;
/// Ten kinds of venues; two of dresses and two of cakes.
const VENUES: usize = 10;
const DRESS: usize = 10;
const CAKE: usize = 12;
const KINDS: usize = 14;

/// Generates vectors in a cone; kinds of one topic are near each other.
struct Geometry {
    random: Rng,
    cone: Vec<f64>,
    kinds: Vec<Vec<f64>>,
}

impl Geometry {
    fn new() -> Self {
        let mut random = Rng::with_seed(7);
        let cone = direction(&mut random);
        let topics: Vec<Vec<f64>> = (0..3).map(|_| direction(&mut random)).collect();
        let topic = |kind: usize| &topics[kind.saturating_sub(VENUES - 2) / 2];
        let kinds = (0..KINDS).map(|kind| sum(&[(0.35, topic(kind)), (0.65, &direction(&mut random))])).collect();
        Self { random, cone, kinds }
    }

    /// Another image of a kind, as a literal of type vector.
    fn picture(&mut self, kind: usize) -> String {
        let noise = direction(&mut self.random);
        format!("{:?}", sum(&[(0.5, &self.cone), (0.3, &self.kinds[kind]), (0.2, &noise)]))
    }

    /// Creates an indexed table with `rows(kind)` rows of each kind.
    fn table(&mut self, client: &mut Client, name: &str, rows: impl Fn(usize) -> usize) -> Result<()> {
        client.batch_execute(&format!(
            "CREATE TABLE {name} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind integer, embedding vector(512));
             CREATE INDEX ON {name} USING hnsw (embedding vector_cosine_ops)"
        ))?;
        for kind in 0..KINDS {
            for _ in 0..rows(kind) {
                let picture = self.picture(kind);
                client.execute(
                    &format!("INSERT INTO {name} (kind, embedding) VALUES ($1, $2::text::vector)"),
                    &[&(kind as i32), &picture],
                )?;
            }
        }
        Ok(client.batch_execute(&format!("ANALYZE {name}"))?)
    }

    /// Inserts a board as an import would.
    fn board(&mut self, client: &mut Client, account: i64, name: &str, shown: &[(usize, usize)]) -> Result<()> {
        let pictures = shown.iter().flat_map(|&(kind, count)| std::iter::repeat_n(kind, count));
        let vectors: Vec<String> = pictures.map(|kind| self.picture(kind)).collect();
        client.execute(
            "INSERT INTO pinterest.board (account_id, board_id, name) VALUES ($1, $2, $2)",
            &[&account, &name],
        )?;
        client.execute(
            "INSERT INTO pinterest.pin (account_id, pin_id, board_id, raw, import_id)
             SELECT $1, $2::text || '-' || n, $2, '{}', 0 FROM generate_series(1, $3::bigint) AS n",
            &[&account, &name, &(vectors.len() as i64)],
        )?;
        client.execute(
            "WITH model AS (
                 INSERT INTO pinterest.model AS m (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
                 VALUES ('made', 'made', '', '', '', 512) ON CONFLICT (fingerprint) DO UPDATE SET name = m.name RETURNING model_id)
             INSERT INTO pinterest.pin_image
                 (account_id, pin_id, position, kind, candidates, state, import_id, embedding, model_id)
             SELECT $1, $2::text || '-' || v.n, 0, 'image', '[]', 'embedded', 0, l2_normalize(v.embedding::vector), model_id
               FROM unnest($3::text[]) WITH ORDINALITY AS v (embedding, n), model",
            &[&account, &name, &vectors],
        )?;
        Ok(())
    }
}

fn direction(random: &mut Rng) -> Vec<f64> {
    let values: Vec<f64> = (0..DIMENSION).map(|_| (0..6).map(|_| random.f64()).sum::<f64>() - 3.0).collect();
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.iter().map(|value| value / norm).collect()
}

/// The sum of directions, each weighted by its share of the squared norm.
fn sum(parts: &[(f64, &[f64])]) -> Vec<f64> {
    (0..DIMENSION).map(|place| parts.iter().map(|(share, part)| share.sqrt() * part[place]).sum()).collect()
}

/// Two kinds of venues, dresses and cakes.
const WEDDING: [(usize, usize); 4] = [(0, 20), (1, 12), (DRESS, 15), (CAKE, 10)];

fn world() -> Result<(World, Client, Geometry)> {
    let (world, mut client) = World::of(Config::with_board("Unused", &[Family::Beach], 1))?.with_session()?;
    let mut geometry = Geometry::new();
    geometry.board(&mut client, world.account(), "Wedding", &WEDDING)?;
    Ok((world, client, geometry))
}

fn is_venue(kind: &str) -> bool {
    kind.parse::<usize>().is_ok_and(|kind| kind < VENUES)
}

/// The kinds of the rows recommended from a table.
fn kinds(client: &mut Client, table: &str, arguments: &str) -> Result<Vec<String>> {
    column(
        client,
        &format!(
            "SELECT t.kind::text FROM pinterest_recommend('Wedding', '{table}'{arguments}) r
               JOIN {table} t ON t.id = r.key::bigint ORDER BY r.rank"
        ),
    )
}

#[test]
fn only_served_themes_take_places() -> Result<()> {
    let (_world, mut client, mut geometry) = world()?;
    geometry.table(&mut client, "venues", |kind| if kind < VENUES { 12 } else { 1 })?;
    geometry.table(&mut client, "things", |_| 12)?;

    let served = kinds(&mut client, "venues", "")?;
    assert!(served.len() == 10 && served.iter().all(|kind| kind == "0" || kind == "1"), "{served:?}");
    assert!(served.contains(&"0".into()) && served.contains(&"1".into()), "{served:?}");
    let all = kinds(&mut client, "venues", ", all_themes => true")?;
    assert!(all.iter().any(|kind| !is_venue(kind)), "{all:?}");

    let everything = kinds(&mut client, "things", "")?;
    for kind in [0, 1, DRESS, CAKE] {
        assert!(everything[..8].contains(&kind.to_string()), "{kind} among {everything:?}");
    }
    assert_eq!(everything, kinds(&mut client, "things", ", all_themes => true")?);

    // Themes keep the numbers that pinterest_board_themes() gives them.
    let consistent = "SELECT bool_and(abs(r.distance - (v.embedding <=> t.embedding)) < 1e-5)
           FROM pinterest_recommend('Wedding', 'venues', 20) r JOIN venues v ON v.id = r.key::bigint
           JOIN pinterest_board_themes('Wedding') t USING (theme)";
    assert!(client.value::<bool>(consistent)?);
    // An index scan, which reads few of the rows, gives the same.
    client.batch_execute("SET enable_seqscan = off; SET enable_sort = off")?;
    let through = kinds(&mut client, "venues", "")?;
    assert!(through.len() == 10 && through.iter().all(|kind| kind == "0" || kind == "1"), "{through:?}");
    Ok(())
}

#[test]
fn all_rows_are_reachable_and_small_tables_are_not_filtered() -> Result<()> {
    let (world, mut client, mut geometry) = world()?;
    geometry.table(&mut client, "venues", |kind| if kind < VENUES { 12 } else { 1 })?;
    geometry.table(&mut client, "five", |kind| match kind {
        0 => 4,
        DRESS => 1,
        _ => 0,
    })?;
    geometry.table(&mut client, "one", |kind| usize::from(kind == DRESS))?;
    geometry.table(&mut client, "lakes", |kind| if (2..VENUES).contains(&kind) { 3 } else { 0 })?;

    let rows: i64 = client.value("SELECT count(DISTINCT key) FROM pinterest_recommend('Wedding', 'venues', 1000)")?;
    assert_eq!(rows, 124, "rows that serve no theme are last, but returned");
    for (table, rows) in [("five", 5), ("one", 1), ("lakes", 10)] {
        assert_eq!(kinds(&mut client, table, "")?.len(), rows, "{table}");
    }
    // One dress in five rows is enough to serve its theme.
    for table in ["five", "one"] {
        assert_eq!(kinds(&mut client, table, "")?, kinds(&mut client, table, ", all_themes => true")?, "{table}");
    }

    // A board of dresses alone gets the table's dress.
    geometry.board(&mut client, world.account(), "Dresses", &[(DRESS, 20)])?;
    let nearest =
        "SELECT v.kind FROM pinterest_recommend('Dresses', 'venues', 1) r JOIN venues v ON v.id = r.key::bigint";
    assert_eq!(client.value::<i32>(nearest)?, DRESS as i32);
    // The themes of two boards are judged together.
    let both = column(
        &mut client,
        "SELECT v.kind::text FROM pinterest_recommend(ARRAY['Wedding', 'Dresses'], 'venues') r
           JOIN venues v ON v.id = r.key::bigint",
    )?;
    assert!(both.iter().all(|kind| is_venue(kind)), "{both:?}");
    // `not_boards` still applies.
    let averse = kinds(&mut client, "venues", ", not_boards => '{Dresses}'")?;
    assert!(averse.len() == 10 && averse.iter().all(|kind| is_venue(kind)), "{averse:?}");
    Ok(())
}

#[test]
fn explain_reports_themes_that_were_left_out() -> Result<()> {
    let (world, mut client, mut geometry) = world()?;
    geometry.table(&mut client, "venues", |kind| if kind < VENUES { 12 } else { 1 })?;
    let notices = Arc::new(Mutex::new(String::new()));
    let received = Arc::clone(&notices);
    let (role, database): (String, String) = client.pair("SELECT current_user::text, current_database()::text", &[])?;
    let mut config = world.cluster.client_config(&role, &database);
    config.notice_callback(move |notice| {
        if let Ok(mut text) = received.lock() {
            let _ = write!(text, "{}|{:?}|{:?}", notice.message(), notice.detail(), notice.hint());
        }
    });
    let mut client = config.connect(postgres::NoTls)?;
    let take = || notices.lock().map(|mut notices| std::mem::take(&mut *notices)).unwrap_or_default();

    client.query("SELECT * FROM pinterest_recommend('Wedding', 'venues')", &[])?;
    assert_eq!(take(), "", "no notice without explain");
    client.query("SELECT * FROM pinterest_recommend('Wedding', 'venues', explain => true)", &[])?;
    let notice = take();
    for part in ["themes 2, 4 of board \"Wedding\" take no places", "public.venues", "1: 12, 2: 1", "all_themes"] {
        assert!(notice.contains(part), "{notice}");
    }
    client.query("SELECT * FROM pinterest_recommend('Wedding', 'venues', explain => true, all_themes => true)", &[])?;
    assert_eq!(take(), "");
    client.refused("SELECT pinterest_recommend('Wedding', 'venues', all_themes => NULL)", "22004");
    Ok(())
}
