//! Recommendations among 100,000 venues: time, and recall against the exact result.

mod geometry;

use std::collections::HashSet;
use std::io::Write;
use std::time::{Duration, Instant};

use e2e::{Result, World};
use postgres::Client;
use sandbox::{Config, Family};

use crate::{figure, milliseconds, spread};
use geometry::{Geometry, Vector};

const VENUES: usize = 100_000;
/// Kinds of places among the venues.
const KINDS: usize = 128;
/// Boards, each with a different mixture of kinds.
const BOARDS: usize = 12;
/// Images of each board, and the kinds that they show.
const IMAGES: usize = 250;
const KINDS_OF_A_BOARD: [usize; 4] = [1, 3, 5, 8];
/// Calls per board; the first ones are not counted.
const CALLS: usize = 12;
const WARM_UP: usize = 2;
const K: usize = 10;

/// Fills the tables, builds the index and measures.
pub fn measure() -> Result<()> {
    let world = World::builder()
        .sandbox(Config::with_board("Bench", &[Family::Beach], 1))
        .setting("shared_buffers", "1GB")
        .setting("maintenance_work_mem", "1GB")
        .start()?;
    let mut client = world.connect()?;
    let mut geometry = Geometry::new(1, KINDS);
    venues(&mut client, &mut geometry)?;
    for board in 0..BOARDS {
        fill_board(&mut client, world.account(), board, &mut geometry)?;
    }
    client.batch_execute("VACUUM ANALYZE venues, pinterest.pin, pinterest.pin_image")?;

    timed(&mut client, "pinterest_recommend, k = 10", |board| {
        format!("SELECT key FROM pinterest_recommend('{board}', 'venues', {K})")
    })?;
    timed(&mut client, "  of that the images and themes", |board| {
        format!("SELECT theme FROM pinterest_board_themes('{board}')")
    })?;
    timed(&mut client, "  the mean alone, through the index", |board| {
        format!("SELECT id FROM venues ORDER BY embedding <=> pinterest_board_embedding('{board}') LIMIT {K}")
    })?;
    timed(&mut client, "with explain", |board| {
        format!("SELECT key, because FROM pinterest_recommend('{board}', 'venues', {K}, explain => true)")
    })?;
    recall(&mut client)
}

fn venues(client: &mut Client, geometry: &mut Geometry) -> Result<()> {
    client.batch_execute("CREATE TABLE venues (id bigint PRIMARY KEY, kind integer, embedding vector(512))")?;
    let mut copy = client.copy_in("COPY venues FROM STDIN (FORMAT binary)")?;
    copy.write_all(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0")?;
    for id in 0..VENUES {
        let kind = id % KINDS;
        copy.write_all(&3i16.to_be_bytes())?;
        field(&mut copy, &(id as i64).to_be_bytes())?;
        field(&mut copy, &(kind as i32).to_be_bytes())?;
        field(&mut copy, &sent(&geometry.place(kind)))?;
    }
    copy.write_all(&(-1i16).to_be_bytes())?;
    copy.finish()?;
    let began = Instant::now();
    client.batch_execute(
        "SET max_parallel_maintenance_workers = 2;
         CREATE INDEX venues_embedding ON venues USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64)",
    )?;
    let taken = began.elapsed();
    let size: i64 = client.query_one("SELECT pg_relation_size('venues_embedding')", &[])?.get(0);
    let size = size as f64 / f64::from(1 << 20);
    figure(&format!("index over {VENUES} venues"), format!("{:.0} s, {size:.0} MB", taken.as_secs_f64()));
    Ok(())
}

fn field(copy: &mut impl Write, bytes: &[u8]) -> Result<()> {
    copy.write_all(&(bytes.len() as i32).to_be_bytes())?;
    Ok(copy.write_all(bytes)?)
}

/// The binary input format of pgvector: dimensions, an unused field, the numbers.
fn sent(vector: &Vector) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + 4 * vector.len());
    bytes.extend((vector.len() as i16).to_be_bytes());
    bytes.extend(0i16.to_be_bytes());
    vector.iter().for_each(|value| bytes.extend(value.to_be_bytes()));
    bytes
}

fn board_name(board: usize) -> String {
    format!("Board {board}")
}

/// Fills a board as an import does.
fn fill_board(client: &mut Client, account: i64, board: usize, geometry: &mut Geometry) -> Result<()> {
    let (id, name) = (format!("board{board}"), board_name(board));
    let kinds = KINDS_OF_A_BOARD[board % KINDS_OF_A_BOARD.len()];
    let vectors: Vec<String> = (0..IMAGES)
        .map(|image| {
            // About half of the images are of the first kind, half of the rest of the second, and so on.
            let kind = (0..kinds - 1).find(|kind| image % (2 << kind) < (1 << kind)).unwrap_or(kinds - 1);
            format!("{:?}", geometry.place((board * 11 + kind * 7) % KINDS))
        })
        .collect();
    client.execute(
        "INSERT INTO pinterest.board (account_id, board_id, name) VALUES ($1, $2, $3)",
        &[&account, &id, &name],
    )?;
    client.execute(
        "INSERT INTO pinterest.pin (account_id, pin_id, board_id, raw, import_id)
         SELECT $1, $2::text || '-' || n, $2, '{}', 0 FROM generate_series(1, $3::bigint) AS n",
        &[&account, &id, &(IMAGES as i64)],
    )?;
    client.execute(
        "WITH model AS (
             INSERT INTO pinterest.model AS m (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             VALUES ('bench', 'bench', '', '', '', 512) ON CONFLICT (fingerprint) DO UPDATE SET name = m.name RETURNING model_id)
         INSERT INTO pinterest.pin_image
             (account_id, pin_id, position, kind, candidates, state, import_id, embedding, model_id)
         SELECT $1, $2::text || '-' || v.n, 0, 'image', '[]', 'embedded', 0, l2_normalize(v.embedding::vector), model_id
           FROM unnest($3::text[]) WITH ORDINALITY AS v (embedding, n), model",
        &[&account, &id, &vectors],
    )?;
    Ok(())
}

/// Times a statement over all boards.
fn timed(client: &mut Client, what: &str, statement: impl Fn(&str) -> String) -> Result<()> {
    let mut taken = Vec::new();
    for board in 0..BOARDS {
        let statement = client.prepare(&statement(&board_name(board)))?;
        for call in 0..CALLS {
            let began = Instant::now();
            client.query(&statement, &[])?;
            if call >= WARM_UP {
                taken.push(began.elapsed());
            }
        }
    }
    let fastest = taken.iter().min().copied().unwrap_or(Duration::ZERO);
    figure(what, format!("{}, {} at the least", spread(&mut taken), milliseconds(fastest)));
    Ok(())
}

/// Measures the share of the exact rows that are found through the index.
fn recall(client: &mut Client) -> Result<()> {
    let keys = |client: &mut Client, board: usize, diversity: f64| -> Result<HashSet<String>> {
        let statement =
            format!("SELECT key FROM pinterest_recommend('{}', 'venues', {K}, {diversity})", board_name(board));
        Ok(client.query(&statement, &[])?.iter().map(|row| row.get(0)).collect())
    };
    for diversity in [0.0, 0.3] {
        let (mut found, mut least, mut exact_time) = (0, K, Vec::new());
        for board in 0..BOARDS {
            let fast = keys(client, board, diversity)?;
            client.batch_execute("SET enable_indexscan = off")?;
            let began = Instant::now();
            let exact = keys(client, board, diversity)?;
            exact_time.push(began.elapsed());
            client.batch_execute("RESET enable_indexscan")?;
            let same = fast.intersection(&exact).count();
            found += same;
            least = least.min(same);
        }
        figure(
            &format!("recall@{K} against the exact answer, diversity {diversity}"),
            format!("{:.3}, worst board {:.1}", found as f64 / (BOARDS * K) as f64, least as f64 / K as f64),
        );
        figure("  the exact answer", spread(&mut exact_time));
    }
    Ok(())
}
