//! The main job with pgvector in its own schema, this extension in another, and neither on the search_path.

use std::fs;
use std::process::Command;

use e2e::{ServerUser, tiny_stand_in, world};

use crate::support::oauth::USER;
use crate::support::prelude::*;

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Checks the imported board and the tracked table, here and in a copy.
fn check(client: &mut Client) -> Result<()> {
    for holds in [
        "pin.pinterest_board_embedding('Barn') OPERATOR(extensions.<=>) (SELECT extensions.avg(embedding) FROM pinterest.pin_image WHERE state = 'embedded') < 1",
        "extensions.vector_norm(pin.pinterest_board_embedding('Mixed', half_life => '1 day', sections => '{\"Bath\": 2}')) > 0.99",
        "(SELECT count(*) FROM pin.pinterest_recommend('Mixed', 'shop.venues', k => 5, explain => true)) = 5",
        "(SELECT count(*) FROM pin.pinterest_recommend('{Mixed}'::text[], 'shop.venues', k => 5, not_boards => '{Barn}')) = 5",
        "(SELECT sum(images) FROM pin.pinterest_board_themes('Mixed', labels => '{barn,beach}')) = 20",
        "(SELECT count(*) FROM pin.pinterest_pins_like(pin.pinterest_embed_text('a barn'), 4)) = 4",
        "(SELECT count(*) FROM pin.pinterest_boards_like('Barn')) = 1",
        "(SELECT count(*) >= 0 FROM pin.pinterest_duplicates('Mixed', 0.5))",
        "(SELECT count(*) FROM pin.pinterest_classify(pin.pinterest_embed_text('a barn'), '{barn,beach}')) = 2",
        "pin.pinterest_gallery('Mixed', rows => (SELECT json_agg(r) FROM (SELECT key, distance FROM pin.pinterest_recommend('Mixed', 'shop.venues')) AS r)) LIKE '%<html%'",
        "(SELECT count(embedding) FROM shop.venues) = 12",
        "(SELECT problem IS NULL AND pending = 0 FROM pinterest.tracked)",
        "(SELECT count(*) FROM pin.pinterest_doctor() WHERE status = 'problem' AND check_name <> 'pgvector') = 0",
    ] {
        assert!(client.value::<bool>(&format!("SELECT {holds}"))?, "{holds}");
    }
    Ok(())
}

#[test]
fn the_main_job_works_with_pgvector_in_its_own_schema() -> Result<()> {
    let board =
        |name: &str, families: &[Family], pins| BoardSpec::new(name, families, pins).media(MediaMix::images_only());
    let account = AccountSpec::new(USER)
        .board(board("Mixed", &[Family::Barn, Family::Beach], 20).sections(&["Bath", "Hall"]))
        .board(board("Barn", &[Family::Barn], 8));
    let config = Config { accounts: vec![account], ..quick_board("Beach", 0) };
    let world = World::builder().sandbox(config).connected(false).start()?;
    let mut owner = world.connect()?;
    owner.batch_execute(
        "CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO PUBLIC;
         CREATE SCHEMA pin; CREATE EXTENSION pg_pinterest SCHEMA pin; GRANT USAGE ON SCHEMA pin TO PUBLIC;
         CREATE ROLE app LOGIN; SELECT pin.pinterest_grant('app'); CREATE SCHEMA shop AUTHORIZATION app;
         ALTER DATABASE postgres SET search_path = public",
    )?;
    let mut client = world.cluster.connect_as("app")?;
    let known = &world.sandbox.config().app;
    client.query_one(
        "SELECT pin.pinterest_register_app('a', $1, $2, $3)",
        &[&known.client_id, &known.client_secret, &known.redirect_uris[0]],
    )?;
    let url: String = client.value("SELECT pin.pinterest_authorize_url()")?;
    let code = world.browser()?.authorize(&url)?;
    client.query_one("SELECT pin.pinterest_connect($1, $2)", &[&code.code, &code.state])?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pin.pinterest_list_boards()")?, 2);
    for board in ["Mixed", "Barn"] {
        let import: i64 = client.value_with("SELECT pin.pinterest_import_board($1)", &[&board])?;
        let state: String = client.value_with("SELECT pin.pinterest_wait_for_import($1, '1 minute')", &[&import])?;
        assert_eq!(state, "completed");
    }
    client.batch_execute(
        "CREATE TABLE shop.venues (id int PRIMARY KEY, name text, embedding extensions.vector(512));
         SELECT pin.pinterest_track('shop.venues', text => 'name');
         INSERT INTO shop.venues SELECT n, 'a barn with ' || n || ' lights' FROM generate_series(1, 12) AS n;
         CREATE INDEX ON shop.venues USING hnsw (embedding extensions.vector_cosine_ops)",
    )?;
    client.batch_execute("CALL pin.pinterest_await_tracked('shop.venues', '1 minute')")?;
    check(&mut client)?;
    // The unqualified operator requires a search_path of the app.
    client.refused("SELECT id FROM shop.venues ORDER BY embedding <=> embedding", "42883");
    client.batch_execute("SET search_path = public, extensions")?;
    client.query("SELECT id FROM shop.venues ORDER BY embedding <=> pin.pinterest_embed_text('a beach')", &[])?;
    client.batch_execute("RESET search_path; UPDATE shop.venues SET name = 'a beach' WHERE id = 5")?;
    client.batch_execute("CALL pin.pinterest_await_tracked('shop.venues', '1 minute')")?;
    let again: i64 = client.value("SELECT pin.pinterest_reembed_board('Barn')")?;
    client.batch_execute(&format!("CALL pin.pinterest_await_import({again}, '1 minute')"))?;
    check(&mut client)?;

    // A dump can be restored into another cluster.
    let file = world.cluster.directory().join("dump");
    succeed(world.cluster.program("pg_dump")?.args(["--format=custom", "--file"]).arg(&file).arg("postgres"))?;
    let authority = world.server_file("authority.pem", &fs::read(world.sandbox.ca_file())?)?;
    let copy = Cluster::builder()
        .preload(true)
        .own_identity()
        .settings(world::settings(&world.sandbox.host(), &authority, &tiny_stand_in(world.cluster.installation())?))
        .start()?;
    copy.create_role("app")?;
    let key = copy.data_directory().join("pinterest.key");
    fs::copy(world.cluster.data_directory().join("pinterest.key"), &key)?;
    ServerUser::get()?.own(&key)?;
    succeed(copy.program("pg_restore")?.args(["--exit-on-error", "--dbname", "postgres"]).arg(&file))?;
    let asked = world.sandbox.requests().count(Kind::BoardPins);
    let mut restored = copy.connect()?;
    restored.batch_execute("ALTER DATABASE postgres SET search_path = public; SELECT pin.pinterest_adopt()")?;
    let mut restored = copy.connect_as("app")?;
    restored.batch_execute("UPDATE shop.venues SET name = 'a castle' WHERE id = 7")?;
    restored.batch_execute("CALL pin.pinterest_await_tracked('shop.venues', '1 minute')")?;
    check(&mut restored)?;
    let import: i64 = restored.value("SELECT pin.pinterest_import_board('Barn')")?;
    restored.batch_execute(&format!("CALL pin.pinterest_await_import({import}, '1 minute')"))?;
    assert_eq!(
        restored.value::<String>(&format!("SELECT state FROM pinterest.imports WHERE import_id = {import}"))?,
        "completed"
    );
    assert_eq!(world.sandbox.requests().count(Kind::BoardPins), asked, "an unchanged board is not listed");

    // pgvector can be moved to another schema.
    owner.batch_execute(
        "CREATE SCHEMA moved; GRANT USAGE ON SCHEMA moved TO PUBLIC; ALTER EXTENSION vector SET SCHEMA moved",
    )?;
    client.batch_execute("UPDATE shop.venues SET name = 'a hall' WHERE id = 9")?;
    client.batch_execute("CALL pin.pinterest_await_tracked('shop.venues', '1 minute')")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pin.pinterest_recommend('Mixed', 'shop.venues', k => 5)")?, 5);
    Ok(())
}
