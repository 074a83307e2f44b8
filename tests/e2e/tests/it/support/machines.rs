//! Embedders of other machines, which know servers by certificates.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use e2e::{Installation, Result, ServerFile, ServerUser, tiny_stand_in};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority that servers and embedders trust.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// Files of a machine: its certificate, its key, and the authority's certificate.
pub struct Files([ServerFile; 3]);

impl Authority {
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new([])?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(parameters, key), certificate })
    }

    /// Files of a machine with this name or address.
    pub fn files(&self, name: &str) -> Result<Files> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([name.to_owned()])?.signed_by(&key, &self.issuer)?.pem();
        Ok(Files([
            ServerFile::new(".pem", certificate.as_bytes())?,
            ServerFile::new(".key", key.serialize_pem().as_bytes())?,
            ServerFile::new(".ca", self.certificate.as_bytes())?,
        ]))
    }
}

impl Files {
    /// The settings of a server with these files.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let [certificate, key, ca] = &self.0;
        [
            ("pinterest.embedder_tls_certificate", certificate.setting()),
            ("pinterest.embedder_tls_key", key.setting()),
            ("pinterest.embedder_tls_ca", ca.setting()),
        ]
    }
}

/// An embedder that serves other machines. Killed when dropped.
pub struct Machine {
    child: Child,
    /// Where it listens.
    pub address: String,
    files: Files,
}

impl Machine {
    /// Starts one with the model of the tests.
    pub fn start(authority: &Authority) -> Result<Self> {
        let files = authority.files("127.0.0.1")?;
        let (child, address) = start(&files, "127.0.0.1:0")?;
        Ok(Self { child, address, files })
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) -> Result<()> {
        let (child, _) = start(&self.files, &self.address)?;
        self.child = child;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Starts the program; also returns where it listens.
fn start(files: &Files, address: &str) -> Result<(Child, String)> {
    let installation = Installation::staged()?.with_extension()?;
    let model = tiny_stand_in(&installation)?;
    let [certificate, key, ca] = &files.0;
    let mut command = ServerUser::get()?.command(installation.embedder());
    command.args(["serve", "--listen", address, "--threads", "1", "--model"]).arg(model);
    for (option, file) in [("--tls-certificate", certificate), ("--tls-key", key), ("--tls-ca", ca)] {
        command.arg(option).arg(file.path());
    }
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start an embedder")?;
    let mut lines = BufReader::new(child.stderr.take().context("it has a log")?);
    let mut log = String::new();
    loop {
        ensure!(lines.read_line(&mut log)? > 0, "the embedder has ended: {log}");
        if let Some((_, address)) = log.trim_end().rsplit_once("listens at ") {
            // Read to its end, so that the program never waits for a reader.
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
            return Ok((child, address.to_owned()));
        }
    }
}
