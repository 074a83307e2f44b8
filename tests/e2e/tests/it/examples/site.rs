//! The app of examples/venue-app, running with venues.

use std::fs::File;
use std::io::Cursor;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use e2e::ServerUser;
use sandbox::config::App;
use sandbox::scene;

use crate::support::prelude::*;

/// The venues' names, three of each family.
const VENUES: [(Family, [&str; 3]); 4] = [
    (Family::Beach, ["Driftwood Pavilion", "Sandpiper Point", "Dune Chapel"]),
    (Family::Barn, ["Alder Hill Barn", "The Hayloft", "The Old Oaks"]),
    (Family::Ballroom, ["Grand Meridian", "The Gilded Room", "Foundry Hall"]),
    (Family::Garden, ["Rosewood Gardens", "Larkspur Walk", "Mossgrove"]),
];

/// Creates the table that the examples recommend from, tracked and embedded.
pub fn venues(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "CREATE TABLE venues (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, kind text NOT NULL,
             photo bytea NOT NULL, embedding vector(512));
         SELECT pinterest_track('venues', image => 'photo')",
    )?;
    for (family, names) in VENUES {
        for (seed, name) in (1_000..).zip(names) {
            let mut photo = Cursor::new(Vec::new());
            scene::draw(family, seed, 400, 600).write_to(&mut photo, image::ImageFormat::Jpeg)?;
            let insert = "INSERT INTO venues (name, kind, photo) VALUES ($1, $2, $3)";
            client.execute(insert, &[&name, &family.name(), &photo.into_inner()])?;
        }
    }
    ensure!(client.value::<i64>("SELECT pinterest_wait_for_tracked('venues', '1 minute')")? == 0);
    Ok(())
}

/// A world with the app. The app ends when this is dropped.
pub struct Site {
    pub world: World,
    /// The app's address, without a slash at the end.
    pub url: String,
    app: Child,
    log: PathBuf,
}

impl Site {
    pub fn start(accounts: Vec<AccountSpec>) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let url = format!("http://localhost:{port}");
        let known = App { redirect_uris: vec![format!("{url}/pinterest/callback")], ..App::default() };
        let config = Config { accounts, app: known.clone(), ..Config::demo() };
        let world = World::builder().sandbox(config).connected(false).start()?;
        let mut client = world.connect()?;
        client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
        venues(&mut client)?;
        let setup = world.server_file("setup.sql", include_bytes!("../../../../../examples/venue-app/setup.sql"))?;
        // Twice: it can be run again.
        for _ in 0..2 {
            let mut psql = world.cluster.program("psql")?;
            let output =
                psql.args(["--no-psqlrc", "--quiet", "--dbname", "postgres", "--file"]).arg(&setup).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }

        let log = world.cluster.directory().join("venue-app.log");
        let file = File::create(&log)?;
        let socket = world.cluster.socket_directory().display();
        let database = format!("host={socket} port={} user=venue_app dbname=postgres", world.cluster.port());
        let app = ServerUser::get()?
            .command(world.cluster.installation().program("venue-app"))
            .envs([("DATABASE_URL", database), ("LISTEN", format!("127.0.0.1:{port}"))])
            .envs([("PINTEREST_CLIENT_ID", &known.client_id), ("PINTEREST_CLIENT_SECRET", &known.client_secret)])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("cannot start venue-app; make stage builds it")?;
        let mut site = Site { world, url, app, log };
        wait_for("the app to listen", SOON, || {
            ensure!(site.app.try_wait()?.is_none(), "the app has ended: {}", site.log()?);
            Ok(site.log()?.contains(&site.url).then_some(()))
        })?;
        Ok(site)
    }

    /// What the app has printed.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.app.kill();
        let _ = self.app.wait();
    }
}

/// A person without a browser: keeps the session's cookie, and follows no redirects.
pub struct Person {
    agent: ureq::Agent,
    url: String,
    cookie: String,
}

/// Status, `Location` and body of a response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: String,
    pub body: String,
}

pub const PASSWORD: &str = "a-long-secret-passphrase";

impl Person {
    /// Signs up.
    pub fn new(site: &Site, name: &str) -> Result<Self> {
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false);
        let agent = agent.max_redirects(0).max_redirects_will_error(false).build();
        let mut person = Person { agent: agent.new_agent(), url: site.url.clone(), cookie: String::new() };
        let answer = person.post("/sign-up", &[("name", name), ("password", PASSWORD)], "same-origin")?;
        ensure!(answer.status == 303 && answer.location == "/", "{answer:?}");
        Ok(person)
    }

    /// Connects an account; returns the response to Pinterest's redirect.
    pub fn connect(&mut self, site: &Site) -> Result<Answer> {
        let path = self.callback(site)?;
        self.get(&path)
    }

    /// The path that Pinterest's redirect would open.
    pub fn callback(&mut self, site: &Site) -> Result<String> {
        let begun = self.post("/pinterest/connect", &[], "same-origin")?;
        let redirect = site.world.browser()?.authorize(&begun.location)?;
        Ok(format!("/pinterest/callback?code={}&state={}", redirect.code, redirect.state))
    }

    pub fn get(&mut self, path: &str) -> Result<Answer> {
        let request = self.agent.get(format!("{}{path}", self.url)).header("cookie", &self.cookie);
        let response = request.call()?;
        self.read(response)
    }

    /// Posts a form. `site` is what a browser states about where the request comes from.
    pub fn post(&mut self, path: &str, form: &[(&str, &str)], site: &str) -> Result<Answer> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("cookie", &self.cookie);
        let response = request.header("sec-fetch-site", site).send_form(form.iter().copied())?;
        self.read(response)
    }

    fn read(&mut self, mut response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(cookie) = header("set-cookie") {
            ensure!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        let (status, location) = (response.status().as_u16(), header("location").unwrap_or_default().to_owned());
        Ok(Answer { status, location, body: response.body_mut().read_to_string()? })
    }
}
