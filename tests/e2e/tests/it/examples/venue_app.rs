//! The web application: the whole way in a browser, and what other people and Pinterest can do to it.

use std::path::PathBuf;

use anyhow::ensure;

use super::site::{PASSWORD, Person, Site};
use crate::support::chromium::Chromium;
use crate::support::prelude::*;

fn couple() -> AccountSpec {
    let board =
        |name: &str, families: &[Family], pins| BoardSpec::new(name, families, pins).media(MediaMix::images_only());
    AccountSpec::new("example_couple")
        .board(board("Barn wedding", &[Family::Barn, Family::Barn, Family::Garden], 24))
        .board(board("Beach ceremony", &[Family::Beach], 12))
        .board(board("Not for the guests", &[Family::Garden], 6).privacy(sandbox::config::Privacy::Secret))
}

/// Problems of the page as it is shown: text with a contrast below 4.5, targets lower than 44 pixels or without a name,
/// fields without a label, broken images, a page wider than the window.
const PROBLEMS: &str = r"(async () => {
    const problems = [];
    const lightness = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const colour = text => text.match(/[\d.]+/g).map(Number);
    const ground = element => {
        for (; element; element = element.parentElement) {
            const found = colour(getComputedStyle(element).backgroundColor);
            if (found.length === 3 || found[3] === 1) return found;
        }
    };
    const hidden = element => element.closest('.hidden, .skip') || !element.checkVisibility();
    for (const element of document.querySelectorAll('body *')) {
        const text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!text || hidden(element)) continue;
        const [a, b] = [lightness(colour(getComputedStyle(element).color)), lightness(ground(element))].sort((a, b) => b - a);
        const contrast = (a + .05) / (b + .05);
        if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(1)}: ${element.outerHTML.slice(0, 80)}`);
    }
    for (const element of document.querySelectorAll('a, button, input, summary')) {
        if (hidden(element)) continue;
        const box = (element.matches('[type=checkbox]') ? element.closest('label') : element).getBoundingClientRect();
        if (box.height < 44 || box.width < 44) problems.push(`${box.width} x ${box.height}: ${element.outerHTML.slice(0, 80)}`);
        const name = element.labels?.[0]?.textContent || element.innerText || element.querySelector('img')?.alt || '';
        if (!name.trim()) problems.push(`no name: ${element.outerHTML.slice(0, 80)}`);
    }
    for (const image of document.images) {
        image.loading = 'eager';
        try { await image.decode() } catch { problems.push(`broken: ${image.src}`) }
    }
    if (document.querySelectorAll('h1').length !== 1) problems.push('not one h1');
    if (document.documentElement.scrollWidth > innerWidth) problems.push(`${document.documentElement.scrollWidth} wide`);
    return problems;
})()";

/// Checks the page on a phone and a desk, light and dark. SCREENSHOTS names a directory to keep images of it in.
fn inspect(chromium: &mut Chromium, name: &str) -> Result<()> {
    for (device, width) in [("desk", 1440), ("phone", 390)] {
        for (scheme, dark) in [("light", false), ("dark", true)] {
            chromium.look(width, dark)?;
            let problems = chromium.evaluate(PROBLEMS)?;
            assert_eq!(problems, serde_json::json!([]), "{name}, {device}, {scheme}");
            let paper = chromium.evaluate("getComputedStyle(document.body).backgroundColor")?;
            assert_eq!(paper, if dark { "rgb(23, 21, 19)" } else { "rgb(250, 248, 245)" });
            if let Some(directory) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) {
                std::fs::write(directory.join(format!("{name}-{device}-{scheme}.png")), chromium.screenshot()?)?;
            }
        }
    }
    chromium.look(1440, false)
}

/// Presses Tab until this element has the focus, which must be visible.
fn tab_to(chromium: &mut Chromium, selector: &str) -> Result<()> {
    for _ in 0..30 {
        chromium.press("Tab")?;
        if chromium.evaluate(&format!("document.activeElement.matches({selector:?})"))? == true {
            let outline = chromium.evaluate("getComputedStyle(document.activeElement).outlineStyle")?;
            assert_ne!(outline, "none", "{selector}");
            return Ok(());
        }
    }
    anyhow::bail!("the keyboard does not reach {selector}")
}

fn title_is(title: &str) -> String {
    format!("document.title === '{title} · Venues' && document.readyState === 'complete'")
}

#[test]
fn a_browser_goes_the_whole_way_by_keyboard() -> Result<()> {
    let Some(mut chromium) = Chromium::start()? else { return Ok(()) };
    let site = Site::start(vec![couple()])?;
    let mut client = site.world.connect()?;
    chromium.look(1440, false)?;

    chromium.visit(&site.url)?;
    chromium.until(&title_is("Sign in"))?;
    inspect(&mut chromium, "sign-in")?;
    tab_to(&mut chromium, "#name")?;
    chromium.write("Ann")?;
    tab_to(&mut chromium, "#password")?;
    chromium.write(PASSWORD)?;
    tab_to(&mut chromium, "[formaction]")?;
    chromium.press("Enter")?;

    chromium.until(&title_is("Connect Pinterest"))?;
    inspect(&mut chromium, "connect")?;
    tab_to(&mut chromium, "[type=checkbox]")?;
    chromium.press(" ")?;
    tab_to(&mut chromium, "main button")?;
    chromium.press("Enter")?;

    // By Pinterest's page and back.
    chromium.until(&title_is("Your boards"))?;
    assert_eq!(chromium.evaluate("location.href")?, format!("{}/", site.url), "no code stays in the address");
    assert_eq!(site.world.sandbox.requests().count(Kind::Authorize), 1);
    let names = chromium.evaluate("[...document.querySelectorAll('.name')].map(name => name.textContent).join()")?;
    assert_eq!(names, "Barn wedding,Beach ceremony,Not for the guests");
    inspect(&mut chromium, "boards")?;

    hold_pictures_after(&site.world, 8);
    tab_to(&mut chromium, ".tile")?;
    chromium.press("Enter")?;
    chromium.until(&title_is("Barn wedding"))?;
    inspect(&mut chromium, "board")?;
    tab_to(&mut chromium, "main button")?;
    chromium.press("Enter")?;
    chromium.until("document.querySelector('progress') !== null")?;
    chromium.evaluate("window.kept = true")?;
    // Equal images are counted without a download of their own.
    chromium.until(
        "+document.querySelector('[data-show=done]').textContent >= 8 && document.querySelector('progress').value > 0",
    )?;
    chromium.until("document.querySelector('#news').textContent === 'Looking at the images'")?;
    inspect(&mut chromium, "progress")?;
    site.world.sandbox.faults().release(GATE);
    chromium.until("document.querySelectorAll('.matches > li').length > 0")?;
    assert_eq!(chromium.evaluate("window.kept")?, true, "the page was not loaded again");
    let seen = chromium.evaluate("document.querySelector('#news').textContent")?;
    assert!(seen.as_str().is_some_and(|news| news.contains("that look like your pins")), "{seen}");
    let pins = chromium.evaluate(
        "[...document.querySelectorAll('.matches > li')].map(li => li.querySelectorAll('.pins img').length)",
    )?;
    assert!(pins.as_array().is_some_and(|pins| pins.iter().all(|pins| *pins == 3)), "{pins}");
    inspect(&mut chromium, "venues")?;
    assert_eq!(chromium.complaints(), Vec::<String>::new());
    let account: i64 = client.value("SELECT account_id FROM venue_app.connections")?;
    let first: String = client.value_with(
        "SELECT v.name FROM pinterest_recommend('Barn wedding', 'venues', account_id => $1) r JOIN venues v ON v.id = r.key::bigint
          WHERE rank = 1",
        &[&account],
    )?;
    assert_eq!(chromium.evaluate("document.querySelector('.matches h2').textContent")?, first);

    tab_to(&mut chromium, ".more")?;
    chromium.press("Enter")?;
    chromium.until(&title_is(&format!("More like {first}")))?;
    let others = chromium.evaluate("[...document.querySelectorAll('.matches h2')].map(h2 => h2.textContent)")?;
    assert!(others.as_array().is_some_and(|names| names.len() == 9 && !names.contains(&first.into())), "{others}");
    inspect(&mut chromium, "similar")?;

    chromium.visit(&format!("{}/boards/1", site.url))?;
    chromium.until(&title_is("There is nothing here"))?;
    inspect(&mut chromium, "problem")?;

    chromium.visit(&site.url)?;
    inspect(&mut chromium, "boards-after")?;
    tab_to(&mut chromium, "summary")?;
    chromium.press("Enter")?;
    tab_to(&mut chromium, ".danger")?;
    inspect(&mut chromium, "disconnect")?;
    chromium.press("Enter")?;
    chromium.until("document.querySelector('h1').textContent === 'Pinterest is disconnected'")?;
    let told = chromium.evaluate("document.querySelector('.lead').innerText")?;
    assert!(told.as_str().is_some_and(|told| told.contains("3 boards, 24 pins and 24 images")), "{told}");
    for table in ["account", "token", "board", "pin", "pin_image", "import"] {
        assert_eq!(client.value::<i64>(&format!("SELECT count(*) FROM pinterest.{table}"))?, 0, "{table}");
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM venue_app.connections")?, 0);
    tab_to(&mut chromium, "header button")?;
    chromium.press("Enter")?;
    chromium.until(&title_is("Sign in"))?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM venue_app.sessions")?, 0);
    Ok(())
}

#[test]
fn only_the_browser_that_has_begun_an_authorization_can_complete_it() -> Result<()> {
    let mallory = AccountSpec::new("example_mallory").board(beach_board("Traps", 3));
    let site = Site::start(vec![mallory, couple()])?;
    let mut client = site.world.connect()?;
    let connections = "SELECT count(*) FROM venue_app.connections";
    let (mut attacker, mut victim) = (Person::new(&site, "Mallory")?, Person::new(&site, "Ann")?);
    let link = attacker.callback(&site)?;

    // Also while the victim has an authorization of their own, which stays valid.
    site.world.sandbox.sign_in("example_couple")?;
    let own = victim.callback(&site)?;
    let refused = victim.get(&link)?;
    assert!(refused.status == 403 && refused.body.contains("This link is not from you"), "{refused:?}");
    assert_eq!(client.value::<i64>(connections)?, 0);
    if let Some(mut chromium) = Chromium::start()? {
        // A browser without a session, and one with another's.
        chromium.visit(&format!("{}{link}", site.url))?;
        chromium.until(&title_is("Sign in"))?;
        chromium.another_person()?;
        chromium.visit(&site.url)?;
        chromium.evaluate(
            "document.querySelector('#name').value = 'Ben'; document.querySelector('#password').value = 'ten letters'",
        )?;
        chromium.evaluate("document.querySelector('[formaction]').click()")?;
        chromium.until(&title_is("Connect Pinterest"))?;
        chromium.visit(&format!("{}{link}", site.url))?;
        chromium.until(&title_is("This link is not from you"))?;
        inspect(&mut chromium, "foreign")?;
    }
    assert_eq!(client.value::<i64>(connections)?, 0);
    assert_eq!(victim.get(&own)?.location, "/");
    assert_eq!(victim.get(&own)?.status, 403, "it works once");
    assert_eq!(attacker.get(&link)?.location, "/", "in the browser that began it, the link works");
    assert_eq!(client.value::<i64>(connections)?, 2);

    // Neither sees the other's boards.
    // Boards are known once their list has been seen.
    assert_eq!(attacker.get("/")?.status, 200);
    let board: String = client.value("SELECT board_id FROM pinterest.board WHERE name = 'Traps'")?;
    assert_eq!(attacker.get(&format!("/boards/{board}"))?.status, 200);
    for path in ["", "/like/1", "/events"] {
        let answer = victim.get(&format!("/boards/{board}{path}"))?;
        assert!(!answer.body.contains("Traps") && (answer.status == 404 || path == "/events"), "{path}: {answer:?}");
    }
    assert_eq!(victim.post(&format!("/boards/{board}/import"), &[], "same-origin")?.status, 404);

    // The same Pinterest account cannot belong to two.
    let mut third = Person::new(&site, "Cid")?;
    let taken = third.connect(&site)?;
    assert!(taken.status == 409 && taken.body.contains("is taken"), "{taken:?}");

    // Posts of other sites, also of other ports of this host.
    for origin in ["cross-site", "same-site"] {
        assert_eq!(victim.post("/pinterest/disconnect", &[], origin)?.status, 403, "{origin}");
    }
    assert_eq!(client.value::<i64>(connections)?, 2);
    // Wrong passwords and unknown names get the same answer.
    let wrong = victim.post("/sign-in", &[("name", "Ann"), ("password", "wrong")], "same-origin")?;
    let unknown = victim.post("/sign-in", &[("name", "Nobody"), ("password", "wrong")], "same-origin")?;
    assert!(wrong.body.contains("do not belong together") && wrong.body == unknown.body, "{wrong:?}");
    assert_eq!(victim.post("/sign-in", &[("name", "Ann"), ("password", PASSWORD)], "same-origin")?.status, 303);

    let log = site.log()?;
    let secret = &site.world.sandbox.config().app.client_secret;
    for secret in [PASSWORD, secret, "state=", "code=", "session="] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
    ensure!(log.contains("GET /pinterest/callback 403"), "{log}");
    Ok(())
}

#[test]
fn every_error_is_explained() -> Result<()> {
    let site = Site::start(vec![couple()])?;
    let mut client = site.world.connect()?;
    let mut ann = Person::new(&site, "Ann")?;
    let faults = site.world.sandbox.faults();
    let declined = faults.add(Rule::on(Kind::Authorize, Fault::ConsentDenied));
    let begun = ann.post("/pinterest/connect", &[], "same-origin")?;
    let state = begun.location.split("state=").nth(1).unwrap_or_default();
    let answer = ann.get(&format!("/pinterest/callback?error=access_denied&state={state}"))?;
    assert!(answer.body.contains("You have not allowed"), "{answer:?}");
    faults.remove(declined);
    assert_eq!(ann.connect(&site)?.location, "/");

    let rate = Fault::RateLimited { retry_after: Some("600".into()), reset: None };
    for (fault, status, words) in [
        (rate, 429, "try again in a few minutes"),
        (Fault::AppWithoutAccess, 409, "has not given this site access"),
        (Fault::MissingScope, 403, "may not read it"),
        (Fault::ServerError { status: 503 }, 502, "Pinterest does not respond"),
    ] {
        let rule = faults.add(Rule::on(Kind::Boards, fault.clone()));
        let answer = ann.get("/")?;
        assert!(answer.status == status && answer.body.contains(words), "{fault:?}: {answer:?}");
        faults.remove(rule);
    }

    // An account that Pinterest refuses is connected again, with the same button.
    client.batch_execute("SET ROLE venue_app")?;
    let account: i64 = client.value("SELECT account_id FROM venue_app.connections")?;
    let refused = faults.add(Rule::on(Kind::Token, Fault::InvalidGrant));
    assert!(client.execute("SELECT pinterest_refresh($1)", &[&account]).is_err());
    faults.remove(refused);
    let answer = ann.get("/")?;
    assert!(answer.status == 409 && answer.body.contains("Connect Pinterest</button>"), "{answer:?}");
    assert_eq!(ann.connect(&site)?.location, "/");
    assert_eq!(ann.get("/")?.status, 200);
    assert_eq!(client.value::<i64>("SELECT account_id FROM venue_app.connections")?, account);

    // A restart of the server: the pool finds new connections, and the listening one too.
    site.world.cluster.restart(Stop::Immediate)?;
    wait_for("the app to work again", SOON, || Ok((ann.get("/")?.status == 200).then_some(())))
}
