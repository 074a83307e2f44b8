-- Who may do what. Readers see their own rows through row-level security; every write goes through a function, which
-- checks the caller's rights and then writes as pinterest_worker. Nothing is granted to PUBLIC; pinterest_grant() grants.

REVOKE ALL ON SCHEMA pinterest FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA pinterest FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA pinterest FROM PUBLIC;

GRANT USAGE ON SCHEMA pinterest TO pinterest_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    pinterest.installation, pinterest.app, pinterest.account, pinterest.token, pinterest.token_answer, pinterest.oauth_state, pinterest.board,
    pinterest.board_section, pinterest.pin, pinterest.model, pinterest.pin_image, pinterest.import, pinterest.import_outcome,
    pinterest.quota_ledger, pinterest.tracked_column, pinterest.tracked_row
TO pinterest_worker;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA pinterest TO pinterest_worker;

ALTER TABLE pinterest.installation ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.app ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.account ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.token ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.token_answer ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.oauth_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.board ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.board_section ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.pin ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.pin_image ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.import ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.import_outcome ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.quota_ledger ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.tracked_column ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pinterest.tracked_row ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- pinterest.model belongs to no account: which models made embeddings is no secret among those who may read them.

CREATE POLICY worker ON pinterest.installation TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.app TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.account TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.token TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.token_answer TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.oauth_state TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.board TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.board_section TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.pin TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.pin_image TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.import TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.import_outcome TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.quota_ledger TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.tracked_column TO pinterest_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON pinterest.tracked_row TO pinterest_worker USING (true) WITH CHECK (true);

CREATE POLICY own ON pinterest.app FOR SELECT USING (pinterest.is_owner(owner));
CREATE POLICY own ON pinterest.account FOR SELECT USING (pinterest.is_owner(owner));
-- The subquery is itself under account's policy; it is planned once, not per row.
CREATE POLICY own ON pinterest.board FOR SELECT USING (account_id IN (SELECT a.account_id FROM pinterest.account a));
CREATE POLICY own ON pinterest.board_section FOR SELECT USING (account_id IN (SELECT a.account_id FROM pinterest.account a));
CREATE POLICY own ON pinterest.pin FOR SELECT USING (account_id IN (SELECT a.account_id FROM pinterest.account a));
CREATE POLICY own ON pinterest.pin_image FOR SELECT USING (account_id IN (SELECT a.account_id FROM pinterest.account a));
CREATE POLICY own ON pinterest.import FOR SELECT USING (account_id IN (SELECT a.account_id FROM pinterest.account a));
CREATE POLICY own ON pinterest.import_outcome FOR SELECT USING (account_id IN (SELECT a.account_id FROM pinterest.account a));
CREATE POLICY own ON pinterest.quota_ledger FOR SELECT USING (app_id IN (SELECT p.app_id FROM pinterest.app p) OR account_id IN (SELECT a.account_id FROM pinterest.account a));
-- A table may belong to a group: whoever has its rights has those on its tracking.
CREATE POLICY own ON pinterest.tracked_column FOR SELECT USING (pinterest.has_rights_of(owner));
CREATE POLICY own ON pinterest.tracked_row FOR SELECT USING (tracked_column_id IN (SELECT c.tracked_column_id FROM pinterest.tracked_column c));
