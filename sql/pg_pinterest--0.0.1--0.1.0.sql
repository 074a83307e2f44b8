\echo Use "ALTER EXTENSION pg_pinterest UPDATE TO '0.1.0'" to load this file. \quit

-- No SQL changes.
