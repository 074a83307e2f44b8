//! Calls that must not succeed, each with its SQLSTATE.

use crate::support::prelude::*;

#[test]
fn codes_and_states_work_once_and_for_their_owner() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 2))?.with_session()?;
    let url: String = client.value("SELECT pinterest_authorize_url()")?;
    let redirect = world.browser()?.authorize(&url)?;
    let connect = "SELECT pinterest_connect($1, $2)";
    let asked = world.sandbox.requests().total();

    // An invalid state causes no request.
    let unknown = "A".repeat(redirect.state.len());
    for state in ["", "not a state", unknown.as_str()] {
        expect_refusal(client.query_one(connect, &[&redirect.code, &state]), "28000").hints("pinterest_authorize_url");
    }
    world.cluster.create_role("other")?;
    client.batch_execute("SELECT pinterest_grant('other', 'user')")?;
    let mut other = world.cluster.connect_as("other")?;
    let refused = refusal(other.query_one(connect, &[&redirect.code, &redirect.state]));
    assert_eq!(refused.code, "28000", "a foreign state has the error of an unknown one: {refused:?}");
    assert_eq!(world.sandbox.requests().total(), asked);

    let account: i64 = client.value_with(connect, &[&redirect.code, &redirect.state])?;
    assert_eq!(account, world.account(), "the same user has the same account");
    let refused = refusal(client.query_one(connect, &[&redirect.code, &redirect.state]));
    assert_eq!(refused.code, "28000", "used: {refused:?}");

    let url: String = client.value("SELECT pinterest_authorize_url()")?;
    let redirect = world.browser()?.authorize(&url)?;
    let refused = expect_refusal(client.query_one(connect, &[&"no such code", &redirect.state]), "28000");
    assert!(!format!("{refused:?}").contains("no such code"), "{refused:?}");
    Ok(())
}

#[test]
fn foreign_and_missing_objects_have_the_same_errors() -> Result<()> {
    let world = quick_world("Beach", 2)?;
    let mut owner = world.connect()?;
    let import: i64 = owner.value("SELECT pinterest_import_board('Beach')")?;
    complete(&mut owner, import)?;
    world.cluster.create_role("other")?;
    owner.batch_execute("SELECT pinterest_grant('other', 'user')")?;
    let mut other = world.cluster.connect_as("other")?;
    let account = world.account();
    for (foreign, missing, code) in [
        (
            format!("SELECT pinterest_import_board('Beach', {account})"),
            "SELECT pinterest_import_board('Beach', 987654)".to_string(),
            "42501",
        ),
        (
            format!("SELECT * FROM pinterest_list_boards({account})"),
            "SELECT * FROM pinterest_list_boards(987654)".into(),
            "42501",
        ),
        (format!("SELECT pinterest_disconnect({account})"), "SELECT pinterest_disconnect(987654)".into(), "42501"),
        (
            format!("SELECT pinterest_store_token('token', account_id => {account})"),
            "SELECT pinterest_store_token('token', account_id => 987654)".into(),
            "42501",
        ),
        (
            format!("SELECT pinterest_wait_for_import({import})"),
            "SELECT pinterest_wait_for_import(987654)".into(),
            "42704",
        ),
        (format!("SELECT pinterest_cancel_import({import})"), "SELECT pinterest_cancel_import(987654)".into(), "42704"),
    ] {
        let (foreign, missing) = (refusal(other.query(&foreign, &[])), refusal(other.query(&missing, &[])));
        assert_eq!((foreign.code.as_str(), missing.code.as_str()), (code, code), "{foreign:?} {missing:?}");
        // The messages differ in the number only, and so do not reveal whether the object exists.
        let number = if code == "42501" { account } else { import };
        assert_eq!(foreign.message.replace(&number.to_string(), "N"), missing.message.replace("987654", "N"));
    }
    let refused = refusal(other.query_one("SELECT pinterest_import_board('Beach')", &[]));
    assert_eq!(refused.code, "42704", "the role has no account: {refused:?}");
    assert!(refused.hint.contains("pinterest_authorize_url"), "{refused:?}");
    other.refused("SELECT pinterest_board_embedding('Beach')", "42704");
    Ok(())
}

#[test]
fn nothing_is_granted_to_public() -> Result<()> {
    let world = quick_world("Beach", 2)?;
    world.cluster.create_role("nobody")?;
    let mut nobody = world.cluster.connect_as("nobody")?;
    let mut client = world.connect()?;
    let open: Vec<String> = client.column(
        "SELECT p.oid::regprocedure::text FROM pg_proc p
               JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
               JOIN pg_extension e ON d.refobjid = e.oid AND e.extname = 'pg_pinterest'
              WHERE has_function_privilege('nobody', p.oid, 'EXECUTE')
             UNION ALL
             SELECT c.oid::regclass::text FROM pg_class c
              WHERE c.relnamespace = 'pinterest'::regnamespace AND c.relkind IN ('r', 'v', 'S')
                AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('nobody', c.oid, 'USAGE, SELECT, UPDATE')
                    ELSE has_any_column_privilege('nobody', c.oid, 'SELECT, INSERT, UPDATE')
                         OR has_table_privilege('nobody', c.oid, 'DELETE, TRUNCATE, TRIGGER, REFERENCES') END",
    )?;
    assert!(open.is_empty(), "{open:?}");
    for statement in ["SELECT pinterest_import_board('Beach')", "SELECT * FROM pinterest.imports"] {
        nobody.refused(statement, "42501");
    }
    // A role of level user still cannot read tokens.
    client.batch_execute("SELECT pinterest_grant('nobody', 'user')")?;
    for table in ["token", "oauth_state", "installation"] {
        nobody.refused(&format!("SELECT * FROM pinterest.{table}"), "42501");
    }
    nobody.refused("SELECT client_secret FROM pinterest.app", "42501");
    nobody.refused("SELECT pinterest_grant('nobody', 'admin')", "42501");
    // Only a superuser decides where tokens are sent.
    for setting in ["api_host", "image_hosts", "ca_file", "key_file", "embedder_path"] {
        nobody.refused(&format!("SET pinterest.{setting} = 'x'"), "55P02");
    }
    Ok(())
}

#[test]
fn texts_and_images_have_limits() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let text = "SELECT pinterest_embed_text($1)::text";
    for (input, code) in [("", "22023"), (" \n", "22023")] {
        let refused = refusal(client.query_one(text, &[&input]));
        assert_eq!(refused.code, code, "{} bytes: {refused:?}", input.len());
    }
    // CLIP truncates texts to 77 tokens.
    let cut: String = client.value_with(text, &[&"barn ".repeat(100)])?;
    for times in [800, 3000, 1_000_000] {
        assert_eq!(client.value_with::<String>(text, &[&"barn ".repeat(times)])?, cut);
    }
    let image = "SELECT pinterest_embed_image($1)::text";
    let avif: &[u8] = b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B";
    let cut: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    let huge = vec![0_u8; (64 << 20) + 1];
    for (input, code) in [(&b""[..], "22P03"), (b"text", "0A000"), (avif, "0A000"), (cut, "22P03"), (&huge, "54000")] {
        let refused = refusal(client.query_one(image, &[&input]));
        assert_eq!(refused.code, code, "{} bytes: {refused:?}", input.len());
    }
    Ok(())
}

#[test]
fn a_read_only_transaction_makes_no_request() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let asked = world.sandbox.requests().total();
    client.batch_execute("SET default_transaction_read_only = on")?;
    for call in [
        "SELECT pinterest_import_board('Beach')",
        "SELECT * FROM pinterest_list_boards()",
        "SELECT pinterest_authorize_url()",
        "SELECT pinterest_connect('code', repeat('A', 43))",
        "SELECT pinterest_store_token('token')",
    ] {
        client.refused(call, "25006");
    }
    client.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    assert_eq!(world.sandbox.requests().total(), asked);
    Ok(())
}
