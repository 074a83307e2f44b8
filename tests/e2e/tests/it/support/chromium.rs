//! A real browser, controlled through its DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>). This works also for pages that forbid scripts.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use serde_json::{Value, json};

use crate::support::prelude::*;

/// Names of the program in different distributions.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Time limit of one response.
const PATIENCE: Duration = Duration::from_secs(60);

/// A headless Chromium with one empty page.
pub struct Chromium {
    browser: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    sent: u64,
    /// Messages other than responses.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts the browser. Prints a line and returns `None` if it is not installed.
    pub fn start() -> Result<Option<Self>> {
        let found = NAMES.iter().find(|name| {
            let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        });
        let Some(program) = found else {
            // Bypasses libtest, which shows no output of tests that pass.
            let names = NAMES.join(", ");
            writeln!(std::io::stderr(), "\nSKIPPED: no browser tests the pages: none of {names} is installed")?;
            return Ok(None);
        };
        let profile = tempfile::tempdir()?;
        // Chromium reads commands from descriptor 3 and writes responses to 4: the shell moves stdin and stdout there.
        // Its sandbox does not work for root, who may run the tests.
        let mut browser = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
            // Without these it opens connections of its own.
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-quic", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let commands = browser.stdin.take().context("no way to send commands")?;
        let mut answers = BufReader::new(browser.stdout.take().context("no way to read answers")?);
        let (sender, messages) = channel();
        // Ends with the browser.
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut chromium = Chromium {
            browser,
            commands,
            messages,
            session: String::new(),
            sent: 0,
            events: Vec::new(),
            _profile: profile,
        };
        chromium.attach(json!({"url": "about:blank"}))?;
        Ok(Some(chromium))
    }

    /// Continues in a new page with cookies of its own, as another person's browser would.
    pub fn another_person(&mut self) -> Result<()> {
        self.session.clear();
        let context = self.ask("Target.createBrowserContext", json!({}))?;
        self.attach(json!({"url": "about:blank", "browserContextId": context["browserContextId"]}))
    }

    /// Creates a page and continues in it.
    fn attach(&mut self, page: Value) -> Result<()> {
        let target = self.ask("Target.createTarget", page)?;
        let attached = self.ask("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}))?;
        self.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Runtime", "Log", "Network", "Security"] {
            self.ask(&format!("{domain}.enable"), json!({}))?;
        }
        // Browsers do not trust the authority of the local Pinterest.
        self.ask("Security.setIgnoreCertificateErrors", json!({"ignore": true}))?;
        Ok(())
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) -> Result<()> {
        self.visit(&format!("file://{}", file.display()))
    }

    /// Opens an address and waits until it is loaded.
    pub fn visit(&mut self, url: &str) -> Result<()> {
        self.events.clear();
        self.ask("Page.navigate", json!({"url": url}))?;
        let deadline = Instant::now() + PATIENCE;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next(deadline)?;
            self.events.push(event);
        }
        Ok(())
    }

    /// Sets the width of the window in CSS pixels and the preference for a dark colour scheme.
    pub fn look(&mut self, width: u32, dark: bool) -> Result<()> {
        let height = if width < 700 { 844 } else { 900 };
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}),
        )?;
        let scheme = if dark { "dark" } else { "light" };
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        )?;
        Ok(())
    }

    /// The value of an expression, which may be a promise. The page's policy does not apply to it.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let answer = self
            .ask("Runtime.evaluate", json!({"expression": expression, "awaitPromise": true, "returnByValue": true}))?;
        ensure!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].clone())
    }

    /// The page as a PDF, as it is printed on A4.
    pub fn print(&mut self) -> Result<Vec<u8>> {
        let answer = self.ask("Page.printToPDF", json!({"paperWidth": 8.27, "paperHeight": 11.69}))?;
        let pdf = answer["data"].as_str().context("no PDF")?;
        Ok(base64::engine::general_purpose::STANDARD.decode(pdf)?)
    }

    /// Waits until an expression is true, also across pages.
    pub fn until(&mut self, condition: &str) -> Result<()> {
        // While a page is replaced, there is nothing to evaluate in.
        let found =
            wait_for(condition, SOON, || Ok(self.evaluate(condition).is_ok_and(|value| value == true).then_some(())));
        found.or_else(|error| {
            let seen = self.evaluate("location.href + '\\n' + document.body.innerText")?;
            Err(error.context(format!("the page is {}", seen.as_str().unwrap_or_default())))
        })
    }

    /// Presses and releases a key: `Tab`, `Enter` or ` `.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            " " => ("Space", 32, " "),
            _ => bail!("the key {key} is not known"),
        };
        for (event, text) in [("keyDown", text), ("keyUp", "")] {
            let key = json!({"type": event, "key": key, "code": code, "windowsVirtualKeyCode": number, "text": text});
            self.ask("Input.dispatchKeyEvent", key)?;
        }
        Ok(())
    }

    /// Types a text.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.ask("Input.insertText", json!({"text": text})).map(drop)
    }

    /// The whole page as PNG.
    pub fn screenshot(&mut self) -> Result<Vec<u8>> {
        let image = self.ask("Page.captureScreenshot", json!({"captureBeyondViewport": true}))?;
        Ok(base64::engine::general_purpose::STANDARD.decode(image["data"].as_str().unwrap_or_default())?)
    }

    /// Errors, warnings, uncaught exceptions and policy violations since the page was opened.
    pub fn complaints(&self) -> Vec<String> {
        let shown = ["Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"];
        let complaints = self.events.iter().filter(|event| shown.iter().any(|method| event["method"] == *method));
        complaints.map(|event| event["params"].to_string()).collect()
    }

    /// URLs requested since the page was opened, except the page's own.
    pub fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let addresses = sent.filter_map(|event| event["params"]["request"]["url"].as_str());
        addresses.filter(|url| !url.starts_with("data:")).map(str::to_owned).collect()
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": parameters});
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        self.commands.write_all(&bytes).context("Chromium takes no commands")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.next(deadline)?;
            if message["id"] == json!(self.sent) {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].clone());
            }
            self.events.push(message);
        }
    }

    fn next(&mut self, deadline: Instant) -> Result<Value> {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => Ok(message),
            Err(error) => bail!("no message from Chromium: {error}"),
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its child processes end with it.
        let _ = self.ask("Browser.close", json!({}));
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if matches!(self.browser.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
