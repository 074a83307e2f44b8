-- Functions in SQL. Their bodies are parsed once, by the installation: a caller's search_path cannot change which
-- operators and aggregates they use.

CREATE FUNCTION pinterest_recommend(
    board text, "table" regclass, k integer DEFAULT 10, diversity double precision DEFAULT 0.3, "only" text DEFAULT NULL,
    explain boolean DEFAULT false, not_boards text[] DEFAULT NULL, key text DEFAULT NULL, embedding text DEFAULT NULL,
    account_id bigint DEFAULT NULL, contrasts text[] DEFAULT NULL, all_themes boolean DEFAULT false,
    skip_ai boolean DEFAULT false)
RETURNS TABLE (
    rank integer, key text, score double precision, distance double precision, theme integer, because jsonb)
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT * FROM pinterest_recommend(
        CASE WHEN $1 IS NOT NULL THEN ARRAY[$1] END, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);
END;

-- The constants are measured: docs/scale.md has each of them, and how it was measured. All are of one type, so that each
-- operator is the server's own.
CREATE FUNCTION pinterest_sizing(
    accounts bigint, pins_per_account bigint, boards_per_account integer DEFAULT 4, sync_every interval DEFAULT '1 day',
    new_pins_per_day double precision DEFAULT 1, keep_images text DEFAULT 'none', tier text DEFAULT 'standard',
    images_per_second double precision DEFAULT 32, image_bytes double precision DEFAULT 50000, venues bigint DEFAULT 0)
RETURNS TABLE (item text, value double precision, unit text, arithmetic text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT s.item, s.value, s.unit, s.arithmetic
    FROM (SELECT $1::float8 AS accounts, $2::float8 AS pins_each, $3::float8 AS boards_each, extract(epoch FROM $4)::float8 AS every,
                 $5 AS new_each, NULLIF($8, 0::float8) AS speed, $9 AS image, $10::float8 AS venues) AS a
    CROSS JOIN (SELECT 86400::float8 AS day, 1000000000::float8 AS gb, 250::float8 AS page, 6100::float8 AS pin, 14000::float8 AS thumbnail,
                       1.05::float8 AS original, 1500::float8 AS account, 310::float8 AS board, 730::float8 AS import, 400::float8 AS index,
                       2700::float8 AS venue, 2::float8 AS two, 365::float8 AS year, 20::float8 AS refresh, 1000::float8 AS trial,
                       1440000::float8 AS standard) AS c
    CROSS JOIN LATERAL (SELECT a.accounts * a.pins_each AS pins, a.accounts * a.boards_each AS boards, a.accounts * a.new_each AS new_pins,
                               a.accounts * a.boards_each * c.day / NULLIF(a.every, 0::float8) AS syncs) AS n
    CROSS JOIN LATERAL (
        SELECT CASE $6 WHEN 'none' THEN 0::float8 WHEN 'thumbnails' THEN c.thumbnail
                       WHEN 'originals' THEN c.thumbnail + c.original * a.image END AS kept,
               CASE $7 WHEN 'trial' THEN c.trial WHEN 'standard' THEN NULLIF(a.accounts, 0::float8) * c.standard END AS allowed,
               n.boards * c.two + n.pins / c.page AS first, n.syncs + LEAST(n.new_pins, n.syncs) * c.two AS daily) AS r
    CROSS JOIN LATERAL (VALUES
        (1, 'pins', n.pins, 'pins', 'accounts * pins_per_account'),
        (2, 'disk: pins, images and vectors', n.pins * c.pin / c.gb, 'GB', 'pins * 6,100 bytes'),
        (3, 'disk: kept images', n.pins * r.kept / c.gb, 'GB', 'pins * 14,000 bytes for a thumbnail, and 1.05 * image_bytes for an original'),
        (4, 'disk: accounts and boards', (a.accounts * c.account + n.boards * c.board) / c.gb, 'GB', 'accounts * 1,500 bytes + boards * 310 bytes'),
        (5, 'disk: imports of a year', n.syncs * c.year * c.import / c.gb, 'GB', 'imports a day * 365 * 730 bytes; less with pinterest.retention'),
        (6, 'memory: indexes of pins and images', n.pins * c.index / c.gb, 'GB', 'pins * 400 bytes; what shared_buffers and the page cache should hold'),
        (7, 'memory: index of venues', a.venues * c.venue / c.gb, 'GB', 'venues * 2,700 bytes: an HNSW index on vector(512)'),
        (8, 'imports a day', n.syncs, 'imports', 'accounts * boards_per_account / sync_every'),
        (9, 'refreshes a day', a.accounts / c.refresh, 'requests', 'accounts / 20 days'),
        (10, 'requests a day', r.daily, 'requests', 'imports a day, and 2 more for each board with new pins'),
        (11, 'requests that Pinterest allows a day', r.allowed, 'requests', 'trial: 1,000 for the app; standard: 1,440,000 for each account'),
        (12, 'share of the quota', r.daily / r.allowed, NULL, 'requests a day / requests that Pinterest allows a day; above 1, sync_every has to be longer'),
        (13, 'first imports: requests', r.first, 'requests', '2 for each board + pins / 250'),
        (14, 'first imports: days of quota', r.first / r.allowed, 'days', 'requests of the first imports / requests that Pinterest allows a day'),
        (15, 'first imports: downloads', n.pins * a.image / c.gb, 'GB', 'pins * image_bytes'),
        (16, 'first imports: time of one core', n.pins / a.speed / c.day, 'days', 'pins / images_per_second'),
        (17, 'new pins: cores of embedders', n.new_pins / a.speed / c.day, 'cores', 'accounts * new_pins_per_day / 86,400 / images_per_second')
    ) AS s(place, item, value, unit, arithmetic)
    ORDER BY s.place;
END;
