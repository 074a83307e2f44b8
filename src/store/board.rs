//! `pinterest.board` and `pinterest.board_section`.

use pgrx::datum::Interval;

use super::account::owner_of_rows;
use super::clock::now;
use super::pin_image::{AI_DISCLOSED, Keep};
use super::{column, execute, params, read, read_one, read_optional};
use crate::errors::Failure;

/// A board as Pinterest describes it. Times are microseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, Default)]
pub struct BoardRow {
    /// Pinterest's id.
    pub board_id: String,
    /// Its title, if Pinterest gives one.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// PUBLIC, PROTECTED, SECRET, or a later value of Pinterest's.
    pub privacy: Option<String>,
    /// Its owner; for a group board, this may be another user than the account's.
    pub owner_username: Option<String>,
    /// Pinterest's count.
    pub pin_count: Option<i32>,
    /// Creation time.
    pub created_at: Option<i64>,
    /// The change marker.
    pub pins_modified_at: Option<i64>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct KnownBoard {
    /// The account it was imported through.
    pub account_id: i64,
    /// Pinterest's id.
    pub board_id: String,
    /// Its title.
    pub name: String,
    /// Its owner.
    pub owner_username: Option<String>,
    /// The section that is meant, if it is not the whole board.
    pub section: Option<KnownSection>,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSection {
    /// Pinterest's id.
    pub section_id: String,
    /// Its title.
    pub name: String,
}

impl KnownBoard {
    /// The board, or the section of it that is meant, for a message.
    pub fn named(&self) -> String {
        match &self.section {
            Some(section) => format!("section \"{}\" of board \"{}\"", section.name, self.name),
            None => format!("board \"{}\"", self.name),
        }
    }

    /// Whether both are one board, whatever sections are meant.
    pub fn is_same_board(&self, other: &Self) -> bool {
        (self.account_id, &self.board_id) == (other.account_id, &other.board_id)
    }

    /// Whether a pin may be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let apart = self.section.is_some() && other.section.is_some() && self.section != other.section;
        self.is_same_board(other) && !apart
    }
}

/// Inserts or updates the boards. `boards` contains no id twice.
pub fn upsert(account_id: i64, boards: &[BoardRow]) -> Result<(), Failure> {
    execute(
        "INSERT INTO pinterest.board AS t (account_id, board_id, name, description, privacy, owner_username, \
         pin_count, created_at, pins_modified_at, owner, seen_at) SELECT $1, p.board_id, COALESCE(p.name, b.name, p.board_id), \
         p.description, p.privacy, p.owner_username, p.pin_count, 'epoch'::timestamptz + p.created_at * '1 \
         microsecond'::interval, 'epoch'::timestamptz + p.modified_at * '1 microsecond'::interval, $10, $11 \
         FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int4[], $8::int8[], $9::int8[]) \
         AS p(board_id, name, description, privacy, owner_username, pin_count, created_at, modified_at) \
         LEFT JOIN pinterest.board b ON b.account_id = $1 AND b.board_id = p.board_id \
         ON CONFLICT (account_id, board_id) DO UPDATE SET name = EXCLUDED.name, description = EXCLUDED.description, \
         privacy = COALESCE(EXCLUDED.privacy, t.privacy), owner_username = \
         COALESCE(EXCLUDED.owner_username, t.owner_username), \
         pin_count = EXCLUDED.pin_count, created_at = COALESCE(EXCLUDED.created_at, t.created_at), \
         pins_modified_at = EXCLUDED.pins_modified_at, owner = EXCLUDED.owner, seen_at = EXCLUDED.seen_at",
        &params![
            account_id,
            column(boards, |b| b.board_id.clone()),
            column(boards, |b| b.name.clone()),
            column(boards, |b| b.description.clone()),
            column(boards, |b| b.privacy.clone()),
            column(boards, |b| b.owner_username.clone()),
            column(boards, |b| b.pin_count),
            column(boards, |b| b.created_at),
            column(boards, |b| b.pins_modified_at),
            owner_of_rows(account_id)?.parameter(),
            now()
        ],
    )
}

/// Stores the names of a board's sections. Of the known sections that are not among them, those without pins are
/// deleted: a section that was only missing from a response keeps its name.
pub fn update_sections(account_id: i64, board_id: &str, sections: &[(String, String)]) -> Result<(), Failure> {
    let ids: Vec<String> = sections.iter().map(|(id, _)| id.clone()).collect();
    let names: Vec<String> = sections.iter().map(|(_, name)| name.clone()).collect();
    // First the account is locked, as by those who delete it or give it to another owner.
    let owner = owner_of_rows(account_id)?;
    execute(
        "DELETE FROM pinterest.board_section s WHERE s.account_id = $1 AND s.board_id = $2 \
         AND s.section_id <> ALL ($3) AND NOT EXISTS (SELECT FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.board_section_id = s.section_id)",
        &params![account_id, board_id, ids.clone()],
    )?;
    execute(
        "INSERT INTO pinterest.board_section (account_id, board_id, section_id, name, owner) \
         SELECT DISTINCT ON (s.id) $1, $2, s.id, s.name, $5 FROM unnest($3::text[], $4::text[]) AS s(id, name) \
         ON CONFLICT (account_id, board_id, section_id) DO UPDATE SET name = EXCLUDED.name, owner = EXCLUDED.owner",
        &params![account_id, board_id, ids, names, owner.parameter()],
    )
}

/// The boards that the caller may see, of one account or of all. Runs with the caller's rights.
pub fn visible(account_id: Option<i64>) -> Result<Vec<KnownBoard>, Failure> {
    read(
        "SELECT b.account_id, b.board_id, b.name, b.owner_username FROM pinterest.board b \
         WHERE $1::int8 IS NULL OR b.account_id = $1 ORDER BY b.account_id, b.board_id",
        &params![account_id],
        |row| {
            Ok(KnownBoard {
                account_id: row.get(1)?,
                board_id: row.get(2)?,
                name: row.get(3)?,
                owner_username: row.maybe(4)?,
                section: None,
            })
        },
    )
}

/// What an import needs to know of the board's last one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastImport {
    /// The change marker and Pinterest's count are those of the last complete import, and all its pins and images are
    /// there, embedded by the current model.
    pub unchanged: bool,
    /// All images of the last complete import are there, so new pins are listed before known ones.
    pub complete: bool,
}

/// Compares the board's last complete import with the board as Pinterest describes it now.
pub fn last_import(
    account_id: i64,
    board_id: &str,
    model_id: Option<i64>,
    keep: Keep,
    skip_ai: bool,
) -> Result<LastImport, Failure> {
    let last = read_optional(
        "SELECT COALESCE(b.pins_modified_at = b.imported_modified_at, false) AND whole.all_stand \
         AND b.pin_count IS NOT DISTINCT FROM b.imported_pin_count \
         AND b.imported_pins IS NOT DISTINCT FROM (SELECT count(*) FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL), \
         whole.all_stand AND b.imported_modified_at IS NOT NULL \
         FROM pinterest.board b, LATERAL (SELECT NOT EXISTS (SELECT FROM pinterest.pin p \
             JOIN pinterest.pin_image i USING (account_id, pin_id) \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL \
             AND (i.state IN ('pending', 'failed') OR i.model_id <> $3 OR (i.state = 'embedded' \
                 AND ($4 AND i.image IS NULL OR $7 AND i.thumbnail IS NULL)) \
                 OR (i.state = 'skipped' AND i.reason_code = $6 AND NOT $5) OR (i.state = 'embedded' AND p.is_ai \
                 AND $5))) \
             AS all_stand) AS whole \
         WHERE b.account_id = $1 AND b.board_id = $2",
        &params![account_id, board_id, model_id, keep.originals(), skip_ai, AI_DISCLOSED, keep.thumbnails()],
        |row| Ok(LastImport { unchanged: row.get(1)?, complete: row.get(2)? }),
    )?;
    Ok(last.unwrap_or_default())
}

/// Turns syncing of the board on with this interval, or off.
pub fn sync(account_id: i64, board_id: &str, every: Option<Interval>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.board SET sync_every = $3, next_sync_at = $4::timestamptz + $3::interval, \
         sync_skips_ai = CASE WHEN $3 IS NULL THEN sync_skips_ai ELSE imported_without_ai END \
         WHERE account_id = $1 AND board_id = $2",
        &params![account_id, board_id, every, now()],
    )
}

/// Deletes the board with its pins, images and vectors; the number of deleted pins and images.
pub fn purge(account_id: i64, board_id: &str) -> Result<(i64, i64), Failure> {
    let counts = read_one(
        "SELECT count(DISTINCT p.pin_id), count(i.position) FROM pinterest.pin p \
         LEFT JOIN pinterest.pin_image i USING (account_id, pin_id) WHERE p.account_id = $1 AND p.board_id = $2",
        &params![account_id, board_id],
        |row| Ok((row.get::<i64>(1)?, row.get::<i64>(2)?)),
    )?;
    execute(
        "DELETE FROM pinterest.import i WHERE i.account_id = $1 AND i.board_id = $2",
        &params![account_id, board_id],
    )?;
    execute(
        "DELETE FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $2",
        &params![account_id, board_id],
    )?;
    Ok(counts)
}
