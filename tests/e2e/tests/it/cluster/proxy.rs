//! Connecting, importing and tracked columns through a real proxy (tinyproxy). Without the proxy or its password, work
//! waits and is not lost.

use std::net::TcpListener;

use e2e::ServerFile;
use sandbox::proxy::Tinyproxy;

use crate::support::prelude::*;

const PASSWORD: &str = "s3cret-canary-of-the-proxy";

/// A row of the doctor: status, detail, hint.
fn doctor(client: &mut postgres::Client, row: &str) -> Result<(String, String, String)> {
    let row = client.query_one(
        "SELECT status, detail, COALESCE(hint, '') FROM pinterest_doctor() WHERE check_name = $1",
        &[&row],
    )?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

#[test]
fn a_whole_job_goes_through_a_proxy() -> Result<()> {
    let Some(proxy) = Tinyproxy::start(&[], Some(("anna", PASSWORD)))? else { return Ok(()) };
    let file = ServerFile::new(".proxy", format!("anna:{PASSWORD}\n").as_bytes())?;
    // The account is connected through the proxy.
    let world = World::builder()
        .sandbox(quick_board("Beach", 2))
        .setting("pinterest.proxy", &proxy.address())
        .setting("pinterest.proxy_credentials_file", &file.setting())
        .start()?;
    let host = world.sandbox.host();
    let mut client = world.connect()?;
    let before = proxy.connects(&host);
    assert!(before > 0, "{}", proxy.log());
    client.query("SELECT * FROM pinterest_list_boards()", &[])?;
    let import = queue_board(&mut client, "Beach")?;
    let row = complete(&mut client, import)?;
    assert_eq!(row.embedded, 2, "{row:?}");
    assert!(proxy.connects(&host) > before, "{}", proxy.log());
    let (status, detail, _) = doctor(&mut client, "proxy")?;
    assert_eq!(status, "ok", "{detail}");
    assert!(detail.contains(&proxy.address()) && detail.contains(&format!("opens connections to {host}")), "{detail}");

    // A changed password: the import waits, and continues when the file is corrected.
    file.write(b"anna:another")?;
    let (status, detail, hint) = doctor(&mut client, "proxy")?;
    assert_eq!(status, "problem", "{detail}");
    assert!(detail.contains("does not accept the user and password") && hint.contains("proxy_credentials_file"));
    client.refused("SELECT * FROM pinterest_list_boards()", "28000");
    let import = queue_board(&mut client, "Beach")?;
    let row = until_row(&mut client, import, "a failed attempt", |row| !row.reason.is_empty())?;
    assert_eq!((row.state.as_str(), row.error_code.as_str()), ("queued", "28000"), "{row:?}");
    assert!(row.reason.contains("does not accept the user and password"), "{row:?}");
    file.write(format!("anna:{PASSWORD}").as_bytes())?;
    complete(&mut client, import)?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.accounts WHERE status = 'connected'")?, 1);

    // The password is in no log, setting or view.
    let log = world.cluster.log()?;
    assert!(!log.contains(PASSWORD) && !log.contains("YW5uYTpz"), "{log}");
    let shown = "SELECT (SELECT count(*) FROM pg_settings s WHERE strpos(s::text, $1) > 0)
                  + (SELECT count(*) FROM pinterest_doctor() d WHERE strpos(d::text, $1) > 0)
                  + (SELECT count(*) FROM pinterest.imports i WHERE strpos(i::text, $1) > 0)";
    assert_eq!(client.value_with::<i64>(shown, &[&PASSWORD])?, 0);
    Ok(())
}

#[test]
fn work_waits_while_the_proxy_is_unreachable() -> Result<()> {
    if Tinyproxy::program().is_none() {
        eprintln!("skipped: tinyproxy is not installed");
        return Ok(());
    }
    // A port on which no process listens yet.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 3))
        .setting("pinterest.proxy", &format!("http://localhost:{port}"))
        .connected(false)
        .start()?
        .with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.register_app(&mut client, "sandbox")?;
    let grant = world.sandbox.issue_grant("example_user")?;
    client.query_one("SELECT pinterest_store_token($1, $2)", &[&grant.access_token, &grant.refresh_token])?;
    world.cluster.set("pinterest.tracked_image_hosts", &world.sandbox.host())?;
    world.cluster.restart(e2e::Stop::Fast)?;
    let mut client = world.connect()?;

    let (status, detail, hint) = doctor(&mut client, "proxy")?;
    assert_eq!(status, "problem", "{detail}");
    assert!(detail.contains("cannot be reached") && hint.contains("pinterest.proxy"), "{detail} {hint}");
    client.refused("SELECT * FROM pinterest_list_boards()", "08001").hints("pinterest.proxy");
    let import = queue_board(&mut client, "Beach")?;
    let row = until_row(&mut client, import, "a failed attempt", |row| !row.reason.is_empty())?;
    assert_eq!((row.state.as_str(), row.error_code.as_str()), ("queued", "08001"), "{row:?}");
    assert!(row.reason.contains("the proxy http://localhost:"), "{row:?}");

    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, url text, embedding vector(512));
         SELECT pinterest_track('venues', image_url => 'url')",
    )?;
    client.execute("INSERT INTO venues VALUES (1, $1)", &[&format!("https://{}/nothing.jpg", world.sandbox.host())])?;
    let code: String =
        wait_for("the reported problem", SOON, || client.value("SELECT max(problem_code) FROM pinterest.tracked"))?;
    assert_eq!(code, "08001");
    let state: String = client.value("SELECT state FROM pinterest.tracked_row")?;
    assert_eq!(state, "pending", "no row fails");
    assert_eq!(world.sandbox.requests().total(), 0);

    let proxy = Tinyproxy::start_at(port)?;
    let row = complete(&mut client, import)?;
    assert_eq!((row.embedded, row.failed), (3, 0), "{row:?}");
    assert!(proxy.connects(&world.sandbox.host()) > 0);
    // The image is now requested; the answer is that of its host.
    let reason: String = wait_for("the row's answer", SOON, || {
        client.value("SELECT max(reason) FROM pinterest.tracked_row WHERE state = 'failed'")
    })?;
    assert!(reason.contains("the image host answered 404"), "{reason}");
    Ok(())
}

#[test]
fn a_wait_for_a_mute_proxy_can_be_interrupted() -> Result<()> {
    let mute = TcpListener::bind(("127.0.0.1", 0))?;
    let world = World::of(quick_board("Beach", 1))?;
    world.cluster.set("pinterest.proxy", &format!("http://127.0.0.1:{}", mute.local_addr()?.port()))?;
    world.cluster.restart(e2e::Stop::Fast)?;
    let mut client = world.connect()?;
    client.batch_execute("SET statement_timeout = '300ms'")?;
    for statement in ["SELECT * FROM pinterest_list_boards()", "SELECT * FROM pinterest_doctor()"] {
        let begun = Instant::now();
        expect_refusal(client.simple_query(statement), "57014");
        assert!(begun.elapsed() < Duration::from_secs(2), "{statement}: {:?}", begun.elapsed());
    }
    Ok(())
}

#[test]
fn invalid_proxies_are_refused_and_not_shown() -> Result<()> {
    let world = World::of(quick_board("Beach", 1))?;
    for value in ["http://anna:canary@proxy.internal:3128", "socks5://canary.internal:1080", "canary"] {
        world.cluster.set("pinterest.proxy", value)?;
        world.cluster.restart(e2e::Stop::Fast)?;
        let mut client = world.connect()?;
        let refused = client.refused("SELECT * FROM pinterest_list_boards()", "F0000");
        assert!(refused.message.contains("pinterest.proxy") && !refused.message.contains("canary"), "{refused:?}");
        let (status, detail, _) = doctor(&mut client, "proxy")?;
        assert!(status == "problem" && !detail.contains("canary"), "{detail}");
    }
    Ok(())
}
