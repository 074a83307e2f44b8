//! Everything stored about an account, as JSON. It runs with the caller's rights, which do not include reading tokens.

use super::clock::now;
use super::{read, read_optional};
use crate::errors::{Failure, Kind};
use crate::postgres::json_text::Document;

/// The account with its boards, sections, pins, images and imports; with embeddings, stored image bytes and thumbnails if
/// requested.
///
/// # Errors
///
/// The account does not exist, or is not the caller's.
pub fn account(account_id: i64, vectors: bool, images: bool) -> Result<Document, Failure> {
    // By name, without a join: where boards are distributed, these rows are on the coordinator alone.
    let models = read("SELECT m.model_id, encode(m.fingerprint, 'hex') FROM pinterest.model m", &[], |row| {
        Ok((row.get::<i64>(1)?, row.get::<String>(2)?))
    })?;
    let (ids, names): (Vec<_>, Vec<_>) = models.into_iter().unzip();
    let found = read_optional(
        "WITH boards AS MATERIALIZED (SELECT COALESCE(json_agg(json_build_object('board_id', b.board_id, 'name', b.name, \
               'description', b.description, 'privacy', b.privacy, 'owner_username', b.owner_username, \
               'pin_count', b.pin_count, 'created_at', b.created_at, 'imported_at', b.imported_at, \
               'sections', (SELECT COALESCE(json_agg(json_build_object('section_id', s.section_id, 'name', s.name) \
                       ORDER BY s.section_id), '[]') FROM pinterest.board_section s \
                   WHERE s.account_id = $1 AND s.board_id = b.board_id), \
               'pins', (SELECT COALESCE(json_agg(json_build_object('pin_id', p.pin_id, \
                       'board_section_id', p.board_section_id, 'imported_at', p.imported_at, \
                       'first_seen_at', p.first_seen_at, 'link_domain', p.link_domain, 'is_product', p.is_product, \
                       'product_tags', p.product_tags, 'ai_disclosures', to_json(p.ai_disclosures), 'is_ai', p.is_ai, \
                       'removed_at', p.removed_at, 'pinterest', p.raw, \
                       'images', (SELECT COALESCE(json_agg(json_build_object('position', i.position, 'kind', i.kind, \
                               'candidates', i.candidates, 'state', i.state, 'reason', i.reason, \
                               'sha256', encode(i.sha256, 'hex'), 'embedded_at', i.embedded_at, \
                               'model', (SELECT m.name FROM unnest($5::int8[], $6::text[]) AS m(model_id, name) \
                                   WHERE m.model_id = i.model_id), \
                               'embedding', CASE WHEN $2 THEN i.embedding::text::json END, \
                               'image_base64', CASE WHEN $3 THEN encode(i.image, 'base64') END, \
                               'thumbnail_base64', CASE WHEN $3 THEN encode(NULLIF(i.thumbnail, ''), 'base64') END) \
                               ORDER BY i.position), '[]') \
                           FROM pinterest.pin_image i \
                           WHERE i.account_id = $1 AND i.pin_id = p.pin_id)) ORDER BY p.pin_id), '[]') \
                   FROM pinterest.pin p WHERE p.account_id = $1 AND p.board_id = b.board_id)) \
               ORDER BY b.board_id), '[]') AS listed \
             FROM pinterest.board b WHERE b.account_id = $1) \
         SELECT json_build_object( \
           'exported_at', $4::timestamptz, \
           'account', json_build_object('account_id', a.account_id, 'owner', a.owner::text, \
               'pinterest_user_id', a.pinterest_user_id, 'username', a.username, 'status', a.status, 'cause', a.cause, \
               'scopes', to_json(a.scopes), 'connected_at', a.connected_at), \
           'boards', (SELECT s.listed FROM boards s), \
           'imports', (SELECT COALESCE(json_agg(json_build_object('import_id', i.import_id, 'board', i.board_reference, \
               'board_id', i.board_id, 'skip_ai', i.skip_ai, 'state', i.state, 'reason', i.reason, 'created_at', i.created_at, \
               'finished_at', i.finished_at) ORDER BY i.import_id), '[]') \
               FROM pinterest.import i WHERE i.account_id = a.account_id)) \
         FROM pinterest.account a WHERE a.account_id = $1",
        &[account_id.into(), vectors.into(), images.into(), now().into(), ids.into(), names.into()],
        |row| row.get(1),
    )?;
    found.ok_or_else(|| Failure::new(Kind::NotFound, format!("account {account_id} does not exist")))
}
