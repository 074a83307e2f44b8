//! The embedder without Postgres and network.

use std::io::Cursor;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use e2e::{Installation, Model, Result, wait_for};
use embedder::{Animations, Client, ModelState};
use image::ImageFormat;
use sandbox::scene::{Family, draw};
use tokio::task::JoinSet;

use crate::figure;

/// Pictures of a size.
const PICTURES: usize = 24;
/// How often they are embedded in a round.
const TIMES: usize = 4;
/// Each size is measured once in every round, since other programs may disturb one of them.
const ROUNDS: usize = 3;
/// Requests in flight, as of an import.
const IN_FLIGHT: usize = 16;
/// The first size takes no time to decode, so that its figure is that of the model.
const SIZES: [(u32, u32); 3] = [(224, 224), (600, 900), (1200, 1800)];
const LONG: Duration = Duration::from_secs(60);

/// Measures the images per second of the model, and of decoding with it at the sizes that imports choose from.
pub fn measure(installation: &Installation, model: &Model) -> Result<()> {
    let pictures = SIZES.iter().map(|&size| pictures(size)).collect::<Result<Vec<_>>>()?;
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("socket");
    let _server = Server::start(installation, model, &socket)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(ready(&socket))?;

    let mut rates = vec![vec![]; SIZES.len()];
    for _ in 0..ROUNDS {
        for (pictures, rates) in pictures.iter().zip(&mut rates) {
            rates.push(runtime.block_on(rate(&client, pictures))?);
        }
    }
    for ((width, height), mut rates) in SIZES.into_iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        figure(&format!("embedder alone, {width}x{height} JPEG"), format!("{:.1} images/s", rates[ROUNDS / 2]));
    }
    let began = Instant::now();
    from_shell(installation, model, &pictures[1][0])?;
    figure("  one picture from the shell, start included", format!("{:.2} s", began.elapsed().as_secs_f64()));
    Ok(())
}

fn pictures((width, height): (u32, u32)) -> Result<Vec<Vec<u8>>> {
    (0..PICTURES)
        .map(|number| {
            let mut bytes = Cursor::new(Vec::new());
            let family = Family::ALL[number % Family::ALL.len()];
            draw(family, number as u64, width, height).write_to(&mut bytes, ImageFormat::Jpeg)?;
            Ok(bytes.into_inner())
        })
        .collect()
}

/// A server, which ends with this value.
struct Server(Child);

impl Server {
    fn start(installation: &Installation, model: &Model, socket: &Path) -> Result<Self> {
        let mut command = Command::new(installation.embedder());
        command.args(["serve", "--parent-death", "--model"]).arg(model.directory()).arg("--socket").arg(socket);
        let server = command.spawn().context("cannot start pinterest-embedder")?;
        let server = Self(server);
        wait_for("the embedder's socket", LONG, || Ok(socket.exists().then_some(())))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn ready(socket: &Path) -> Result<Client> {
    let client = Client::connect(socket).await?;
    let info = client.ready(LONG).await?;
    ensure!(matches!(info.model, ModelState::Ready(_)), "the model is not loaded: {:?}", info.model);
    Ok(client)
}

/// Images per second.
async fn rate(client: &Client, pictures: &[Vec<u8>]) -> Result<f64> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TIMES {
        for picture in pictures {
            if tasks.len() == IN_FLIGHT
                && let Some(ended) = tasks.join_next().await
            {
                ended??;
            }
            let (client, picture) = (client.clone(), picture.clone());
            tasks.spawn(async move { client.embed_image(picture, Animations::FirstFrame).await });
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok((TIMES * pictures.len()) as f64 / began.elapsed().as_secs_f64())
}

fn from_shell(installation: &Installation, model: &Model, picture: &[u8]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("picture.jpg");
    std::fs::write(&path, picture)?;
    let mut command = Command::new(installation.embedder());
    command.arg("embed").arg("--model").arg(model.directory()).arg(&path).stdout(Stdio::null());
    let status = command.status()?;
    ensure!(status.success(), "pinterest-embedder embed ended with {status}");
    Ok(())
}
