-- Prepares a database for the app. Run it with psql as a superuser, in a database that has the extension and a table
--     venues (id bigint PRIMARY KEY, name text, kind text, photo bytea, embedding vector(512))
-- whose embeddings are tracked. It can be run again.
--
-- The app has one database role, which owns all Pinterest accounts that its users connect. Row-level security keeps them
-- from other roles. Which of the app's users an account belongs to is a matter of the app: the table connections.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

SELECT 'CREATE ROLE venue_app LOGIN' WHERE to_regrole('venue_app') IS NULL \gexec
SELECT pinterest_grant('venue_app');
GRANT SELECT ON venues TO venue_app;
CREATE SCHEMA IF NOT EXISTS venue_app AUTHORIZATION venue_app;

SET ROLE venue_app;
SET search_path = venue_app;

CREATE TABLE IF NOT EXISTS users (
    user_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    password text NOT NULL                          -- Argon2id
);

CREATE TABLE IF NOT EXISTS sessions (
    token_sha256 bytea PRIMARY KEY,                 -- of the token in the browser's cookie
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    pinterest_state text,                           -- of the authorization that this browser has begun
    expires_at timestamptz NOT NULL DEFAULT now() + interval '7 days'
);

CREATE TABLE IF NOT EXISTS connections (
    user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    account_id bigint NOT NULL UNIQUE               -- in pinterest.accounts
);
