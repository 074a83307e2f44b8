//! Tests inside a server: each runs in a transaction that is rolled back, so no worker ever sees its rows. Workers are
//! tested from outside, in tests/e2e.

#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::postgres::vector::{DIMENSION, Vector};

    /// SQLSTATE of the statement's error; `00000` if it succeeds.
    fn sqlstate(statement: &str) -> String {
        Spi::run(
            "CREATE OR REPLACE FUNCTION pg_temp.sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$ \
             BEGIN EXECUTE statement; RETURN '00000'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$",
        )
        .unwrap();
        Spi::get_one_with_args("SELECT pg_temp.sqlstate_of($1)", &[statement.into()]).unwrap().unwrap()
    }

    fn one<T: FromDatum + IntoDatum>(query: &str) -> T {
        Spi::get_one(query).unwrap().unwrap()
    }

    fn names(query: &str) -> Vec<String> {
        Spi::connect(|client| {
            client.select(query, None, &[]).unwrap().map(|row| row.get::<String>(1).unwrap().unwrap()).collect()
        })
    }

    fn register_app() -> i64 {
        one("SELECT pinterest_register_app('venues', '1234567', 'canary-secret', 'https://example.com/callback')")
    }

    fn store_token() -> i64 {
        one("SELECT pinterest_store_token('canary-access', username => 'anna')")
    }

    #[pg_test]
    fn a_vector_survives_the_way_to_pgvector_and_back() {
        let values: Vec<f32> = (0..DIMENSION).map(|i| (i as f32 - 256.0) / 7.0).collect();
        let boxed: Box<[f32; DIMENSION]> = values.clone().into_boxed_slice().try_into().unwrap();
        let vector = Vector::new(boxed).unwrap();
        let text: String = Spi::get_one_with_args("SELECT $1::text", &[vector.clone().parameter()]).unwrap().unwrap();
        let parsed: Vec<f32> = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed, values);
        let back: Vector = Spi::get_one_with_args("SELECT $1", &[vector.clone().parameter()]).unwrap().unwrap();
        assert_eq!(back, vector);
        let norm: f64 = Spi::get_one_with_args("SELECT vector_norm($1)", &[vector.normalized().unwrap().parameter()])
            .unwrap()
            .unwrap();
        assert!((norm - 1.0).abs() < 1e-6, "{norm}");
    }

    #[pg_test]
    fn a_vector_that_is_not_finite_or_zero_is_refused() {
        let mut values = Box::new([0f32; DIMENSION]);
        assert!(Vector::new(values.clone()).unwrap().normalized().is_none());
        values[7] = f32::NAN;
        assert!(Vector::new(values).is_err());
    }

    #[pg_test]
    fn embeddings_are_stored_inline() {
        let storage: String = one(
            "SELECT attstorage::text FROM pg_attribute WHERE attrelid = 'pinterest.pin_image'::regclass AND attname = 'embedding'",
        );
        assert_eq!(storage, "p");
    }

    #[pg_test]
    fn a_secret_is_sealed_before_it_is_stored() {
        register_app();
        let account = store_token();
        let first: i64 = one("SELECT generation FROM pinterest.token");
        let plain: i64 = one("SELECT count(*) FROM pinterest.app a, pinterest.token t \
             WHERE position('canary'::bytea IN a.client_secret) > 0 OR position('canary'::bytea IN t.access_token) > 0");
        assert_eq!(plain, 0);
        let refreshed = one::<i64>(
            "SELECT pinterest_store_token('canary-second', account_id => account_id) FROM pinterest.account",
        );
        assert_eq!(refreshed, account);
        assert!(one::<i64>("SELECT generation FROM pinterest.token") > first);
    }

    #[pg_test]
    fn an_app_registered_again_keeps_its_id() {
        let first = register_app();
        assert_eq!(register_app(), first);
        assert_eq!(one::<i64>("SELECT count(*) FROM pinterest.app"), 1);
    }

    #[pg_test]
    fn only_the_hash_of_an_authorizations_state_is_stored() {
        register_app();
        let url: String = one("SELECT pinterest_authorize_url()");
        let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
        assert!(url.contains("scope=boards%3Aread%2Cpins%3Aread%2Cuser_accounts%3Aread"), "{url}");
        let found: i64 = Spi::get_one_with_args(
            "SELECT count(*) FROM pinterest.oauth_state WHERE state_hash = sha256($1::bytea)",
            &[pinterest::oauth_state::digest(state).map(|_| base64_decoded(state)).unwrap().into()],
        )
        .unwrap()
        .unwrap();
        let by_text: i64 = Spi::get_one_with_args(
            "SELECT count(*) FROM pinterest.oauth_state WHERE state_hash = sha256(convert_to($1, 'UTF8'))",
            &[state.into()],
        )
        .unwrap()
        .unwrap();
        assert_eq!(found + by_text, 1);
    }

    /// The state's bytes, decoded by the server.
    fn base64_decoded(state: &str) -> Vec<u8> {
        let padded = format!("{state}=").replace('-', "+").replace('_', "/");
        Spi::get_one_with_args("SELECT decode($1, 'base64')", &[padded.into()]).unwrap().unwrap()
    }

    #[pg_test]
    fn refusals_have_their_sqlstates() {
        register_app();
        store_token();
        for (statement, code) in [
            ("SELECT pinterest_connect('code', 'no such state')", "28000"),
            ("SELECT pinterest_connect('', 'state')", "22023"),
            ("SELECT pinterest_authorize_url('no such app')", "42704"),
            ("SELECT pinterest_register_app('', 'id', 'secret', 'https://example.com')", "22023"),
            ("SELECT pinterest_register_app('name', 'id', 'secret', 'example.com')", "22023"),
            ("SELECT pinterest_store_token('token', expires_in => 0)", "22023"),
            ("SELECT pinterest_store_token('token', 'refresh', expires_in => 400 * 86400 + 1)", "22023"),
            ("SELECT pinterest_import_board('')", "22023"),
            ("SELECT pinterest_import_board('some board', 999)", "42501"),
            ("SELECT pinterest_import_board(repeat('x', 3000))", "54000"),
            ("SELECT pinterest_import_board('some board')", "58P01"),
            ("SELECT pinterest_embed_text('a barn')", "58P01"),
            ("SELECT pinterest_embed_text(' ')", "22023"),
            ("SELECT pinterest_embed_text(repeat('barn ', 2000))", "58P01"),
            ("SELECT pinterest_embed_image('')", "22P03"),
            ("SELECT pinterest_embed_texts('{a barn}')", "58P01"),
            ("SELECT pinterest_embed_texts('{}')", "00000"),
            ("SELECT pinterest_embed_texts('{a barn,\" \"}')", "22023"),
            ("SELECT pinterest_embed_texts('{{a},{b}}')", "22023"),
            ("SELECT pinterest_embed_texts(array_fill('a'::text, '{1001}'))", "54000"),
            ("SELECT pinterest_embed_images(ARRAY[''::bytea])", "22P03"),
            ("SELECT pinterest_reembed_board('never seen')", "42704"),
            ("SELECT pinterest_wait_for_import(999)", "42704"),
            ("SELECT pinterest_cancel_import(999)", "42704"),
            ("SELECT pinterest_board_embedding('never seen')", "42704"),
            ("SELECT pinterest_purge_board('never seen')", "42704"),
            ("SELECT pinterest_grant('nobody of that name')", "42704"),
            ("SELECT pinterest_grant(current_user::text, 'emperor')", "22023"),
        ] {
            assert_eq!(sqlstate(statement), code, "{statement}");
        }
    }

    #[pg_test]
    fn a_role_sees_and_uses_its_own_accounts_only() {
        register_app();
        let account = store_token();
        Spi::run(
            "CREATE ROLE pinterest_test_other; SELECT pinterest_grant('pinterest_test_other'); \
             SET LOCAL ROLE pinterest_test_other",
        )
        .unwrap();
        assert_eq!(one::<i64>("SELECT count(*) FROM pinterest.account"), 0);
        assert_eq!(one::<i64>("SELECT count(*) FROM pinterest.accounts"), 0);
        assert_eq!(sqlstate(&format!("SELECT pinterest_import_board('x', {account})")), "42501");
        assert_eq!(sqlstate(&format!("SELECT pinterest_disconnect({account})")), "42501");
        assert_eq!(sqlstate("SELECT * FROM pinterest.token"), "42501");
        assert_eq!(sqlstate("SELECT client_secret FROM pinterest.app"), "42501");
        assert_eq!(sqlstate("SELECT name FROM pinterest.app"), "00000");
        assert_eq!(sqlstate("UPDATE pinterest.account SET owner = 'pinterest_test_other'"), "42501");
        for call in ["pinterest_adopt()", "pinterest_keys()", "pinterest_rotate_key()"] {
            assert_eq!(sqlstate(&format!("SELECT {call}")), "42501", "{call}");
        }
        assert_eq!(sqlstate(&format!("SELECT pinterest_export({account})")), "42501");
        assert_eq!(sqlstate(&format!("SELECT pinterest_refresh({account})")), "42501");
        let own: i64 = one("SELECT pinterest_store_token('other-token', username => 'berta')");
        assert_eq!(one::<i64>("SELECT account_id FROM pinterest.accounts"), own);
        assert_eq!(one::<String>("SELECT current_user::text"), "pinterest_test_other");
    }

    #[pg_test]
    fn users_cannot_set_where_tokens_are_sent() {
        for setting in [
            "api_host",
            "authorize_host",
            "image_hosts",
            "ca_file",
            "key_file",
            "key_command",
            "app_secret_file",
            "model_dir",
            "embedder_path",
        ] {
            assert_eq!(sqlstate(&format!("SET pinterest.{setting} = 'x'")), "55P02", "{setting}");
        }
        for setting in ["clone_fence = off", "retention = '1min'", "workers_per_database = 2"] {
            assert_eq!(sqlstate(&format!("SET pinterest.{setting}")), "55P02", "{setting}");
        }
        assert_eq!(sqlstate("SET pinterest.api_hots = 'x'"), "42602");
    }

    #[pg_test]
    fn an_import_of_this_transaction_cannot_be_waited_for() {
        Spi::run("SET LOCAL ROLE pinterest_worker").unwrap();
        Spi::run(
            "INSERT INTO pinterest.account (owner) VALUES ('pinterest_worker'); \
             INSERT INTO pinterest.import (account_id, board_reference) SELECT account_id, 'x' FROM pinterest.account",
        )
        .unwrap();
        Spi::run("RESET ROLE").unwrap();
        assert_eq!(sqlstate("SELECT pinterest_wait_for_import(max(import_id), '1s') FROM pinterest.import"), "55000");
    }

    #[pg_test]
    fn a_copy_of_the_database_is_inactive_until_adopted() {
        register_app();
        Spi::run(
            "SET LOCAL ROLE pinterest_worker; UPDATE pinterest.installation SET database_identity = '1'; RESET ROLE",
        )
        .unwrap();
        assert_eq!(sqlstate("SELECT pinterest_store_token('token')"), "55000");
        assert!(one::<bool>("SELECT pinterest_adopt()"));
        assert!(!one::<bool>("SELECT pinterest_adopt()"));
        assert_eq!(sqlstate("SELECT pinterest_store_token('token')"), "00000");
    }

    #[pg_test]
    fn the_doctor_has_a_row_for_each_check() {
        let problems: Vec<String> =
            names("SELECT check_name FROM pinterest_doctor() WHERE status = 'problem' ORDER BY 1");
        assert!(problems.contains(&"model directory".to_owned()), "{problems:?}");
        assert!(!problems.contains(&"version".to_owned()), "{problems:?}");
    }
}
