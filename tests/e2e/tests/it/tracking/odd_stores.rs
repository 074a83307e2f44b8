//! URLs of object stores in users' tables: non-ASCII paths, wrong headers and hosts in the server's own network.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

use e2e::ServerFile;
use sandbox::store::{Object, Store};

use crate::support::prelude::*;
use crate::support::tracking_work::{photo, settled, state};

/// A world whose tracked columns may use the store under this name and trust its certificate.
fn world(store: &Store, name: &str, settings: &[(&str, &str)]) -> Result<(World, ServerFile)> {
    let world = World::of(quick_board("Beach", 1))?;
    let both = [std::fs::read(world.sandbox.ca_file())?, store.authority().into()].concat();
    let authorities = ServerFile::new(".pem", &both)?;
    world.cluster.set("pinterest.ca_file", &authorities.setting())?;
    world.cluster.set("pinterest.tracked_image_hosts", &format!("{name}:{}", store.port()))?;
    for (name, value) in settings {
        world.cluster.set(name, value)?;
    }
    world.cluster.restart(Stop::Fast)?;
    Ok((world, authorities))
}

fn table(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, url text, embedding vector(512));
         SELECT pinterest_track('venues', image_url => 'url')",
    )?;
    Ok(())
}

#[test]
fn addresses_and_headers_are_read_as_browsers_read_them() -> Result<()> {
    let photo = photo(Family::Beach, 1)?;
    let page = b"<!DOCTYPE html><title>Log in</title>";
    let objects = vec![
        Object::picture("/m%C3%BChle.jpg", b"", &photo),
        Object::picture("/main%20hall.jpg", b"content-type: text/html\r\n", &photo),
        Object::picture("/empty.jpg", b"content-encoding: \r\n", &photo),
        Object::picture("/aws.jpg", b"content-encoding: aws-chunked\r\n", &photo),
        Object::picture("/utf-8.jpg", b"content-encoding: UTF-8\r\n", &photo),
        Object::picture("/br.jpg", b"content-encoding: br\r\n", &photo),
        Object::picture("/page.jpg", b"content-type: image/jpeg\r\n", page),
        Object::redirect("/utf-8", "/mühle.jpg".as_bytes()),
        Object::redirect("/latin-1", b"/m\xfchle.jpg"),
        Object::picture("/m%FChle.jpg", b"", &photo),
        Object::redirect("/blank", b"main hall.jpg"),
        Object::redirect("/away", "https://localhost.mühle.example/a".as_bytes()),
    ];
    let store = Store::start(Ipv4Addr::LOCALHOST.into(), &["localhost"], objects)?;
    let (world, _authorities) = world(&store, "localhost", &[])?;
    let mut client = world.connect()?;
    table(&mut client)?;
    let paths = [
        "/mühle.jpg",
        "/main hall.jpg",
        "/m%C3%BChle.jpg#x",
        "/empty.jpg",
        "/aws.jpg",
        "/utf-8.jpg",
        "/utf-8",
        "/latin-1",
        "/blank",
        "/br.jpg",
        "/page.jpg",
        "/away",
    ];
    for (id, path) in (1_i64..).zip(paths) {
        let url = format!(" https://localhost:{}{path}\n", store.port());
        client.execute("INSERT INTO venues VALUES ($1, $2)", &[&id, &url])?;
    }
    settled(&mut client)?;
    for (key, words) in [("10", "compressed (br)"), ("11", "an HTML page and not an image"), ("12", "xn--")] {
        let (state, reason, _) = state(&mut client, key)?;
        assert_eq!(state, "failed", "{key}");
        assert!(
            reason.contains(words) || key == "12" && reason.contains("redirect") || reason.contains("host"),
            "{key}: {reason}"
        );
    }
    let (embedded, distinct): (i64, i64) =
        client.pair("SELECT count(embedding), count(DISTINCT embedding::text) FROM venues", &[])?;
    assert_eq!((embedded, distinct), (9, 1), "{:?}", store.received());
    Ok(())
}

#[test]
fn an_internal_store_has_to_be_allowed_by_the_administrator() -> Result<()> {
    // Besides localhost, the machine's own name is the only one that may have an internal address.
    let name = String::from_utf8(std::process::Command::new("uname").arg("-n").output()?.stdout)?;
    let name = name.trim().to_ascii_lowercase();
    let found: Vec<IpAddr> =
        (name.as_str(), 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect()).unwrap_or_default();
    let internal = |address: &&IpAddr| match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    };
    let (Some(address), false) = (found.iter().find(internal), name == "localhost") else {
        return skip(&format!("the name of this machine ({name}) has no internal address: {found:?}"));
    };
    let object = Object::picture("/a.jpg", b"", &photo(Family::Beach, 1)?);
    let store = Store::start(*address, &[&name], vec![object])?;
    let (world, _authorities) = world(&store, &name, &[])?;
    let mut client = world.connect()?;
    table(&mut client)?;
    client.execute("INSERT INTO venues VALUES (1, $1)", &[&format!("https://{name}:{}/a.jpg", store.port())])?;
    settled(&mut client)?;
    let (state_, reason, code) = state(&mut client, "1")?;
    assert_eq!((state_.as_str(), code.as_str()), ("failed", "42501"), "{reason}");
    let suggested = reason.split("pinterest.private_image_hosts does not name ").nth(1).unwrap_or_default().to_owned();
    assert!(suggested.starts_with(&format!("{name}=")), "{reason}");
    assert!(store.received().is_empty());

    // The setting takes the value from the reason.
    world.cluster.set("pinterest.private_image_hosts", &format!("elsewhere.internal=10.0.0.0/8, {suggested}"))?;
    world.cluster.restart(Stop::Fast)?;
    let mut client = world.connect()?;
    client.batch_execute("SELECT pinterest_retry_tracked('venues')")?;
    settled(&mut client)?;
    let (state_, reason, _) = state(&mut client, "1")?;
    assert_eq!(state_, "embedded", "{reason}");
    assert_eq!(store.received(), ["/a.jpg"]);
    let note: String =
        client.value("SELECT detail FROM pinterest_doctor() WHERE check_name = 'tracked image hosts'")?;
    assert!(note.contains("names elsewhere.internal=10.0.0.0/8 to no effect"), "{note}");

    world.cluster.set("pinterest.private_image_hosts", &format!("{name}=169.254.0.0/16"))?;
    world.cluster.restart(Stop::Fast)?;
    let mut client = world.connect()?;
    let (status, detail): (String, String) =
        client.pair("SELECT status, detail FROM pinterest_doctor() WHERE check_name = 'tracked image hosts'", &[])?;
    assert!(status == "problem" && detail.contains("never contacted"), "{detail}");
    Ok(())
}
