//! A rotation seals every secret with another key while the server works; then the old key can be removed.

use std::sync::atomic::{AtomicBool, Ordering};

use e2e::ServerFile;

use crate::support::key_files::{key_file, ring};
use crate::support::oauth::{doctor, generation, kill_worker, refresh, store_grant};
use crate::support::owners::role;
use crate::support::prelude::*;

/// More than two batches of a hundred.
const ACCOUNTS: usize = 260;

/// A world whose keys come from a file.
fn world(keys: &[u8]) -> Result<(World, ServerFile)> {
    let file = key_file(keys)?;
    let world = World::builder().sandbox(quick_board("Beach", 2)).setting("pinterest.key_file", &file.setting());
    Ok((world.start()?, file))
}

/// A row of `pinterest_keys()`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    fingerprint: String,
    active: bool,
    in_ring: bool,
    secrets: i64,
}

/// The keys, the active one first.
fn keys(client: &mut Client) -> Result<Vec<Key>> {
    let rows = client.query(
        "SELECT fingerprint, active, in_ring, secrets FROM pinterest_keys() ORDER BY active DESC, fingerprint",
        &[],
    )?;
    Ok(rows
        .iter()
        .map(|row| Key { fingerprint: row.get(0), active: row.get(1), in_ring: row.get(2), secrets: row.get(3) })
        .collect())
}

/// Waits until every secret is sealed with the active key.
fn until_rotated(client: &mut Client) -> Result<()> {
    let left = "SELECT COALESCE(sum(secrets), 0)::int8 FROM pinterest_keys() WHERE NOT active";
    client.until(left, 0_i64)
}

#[test]
fn hundreds_of_accounts_rotate_while_tokens_are_refreshed() -> Result<()> {
    let (world, file) = world(&[1])?;
    let mut client = world.connect()?;
    let accounts: Vec<i64> = (0..ACCOUNTS)
        .map(|number| store_grant(&world, &mut client, &format!("user{number}")))
        .collect::<Result<_>>()?;
    for account in &accounts[..3] {
        // A previous refresh token is one more secret.
        refresh(&mut client, Some(*account))?;
    }
    let [old] = keys(&mut client)?.try_into().unwrap_or_else(|keys| panic!("{keys:?}"));
    // Two tokens of each of 261 accounts (one is connected by the world), three previous tokens, and the app's secret.
    let all = old.secrets;
    assert_eq!(all, 2 * 261 + 3 + 1, "{old:?}");

    file.write(ring(&[2, 1]).as_bytes())?;
    let [active, waiting] = keys(&mut client)?.try_into().unwrap_or_else(|keys| panic!("{keys:?}"));
    assert_eq!((active.active, active.in_ring, active.secrets), (true, true, 0));
    assert_eq!(waiting, Key { active: false, ..old.clone() });

    // Another session locks one account's row: the rotation processes the others first.
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN")?;
    blocker.query_one("SELECT FROM pinterest.token WHERE account_id = $1 FOR UPDATE", &[&accounts[200]])?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let refresher = scope.spawn(|| -> Result<usize> {
            let mut client = world.connect()?;
            let mut refreshed = 0;
            for account in accounts.iter().take(200).cycle() {
                refresh(&mut client, Some(*account))?;
                refreshed += 1;
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(refreshed)
        });
        let rotated = (|| -> Result<()> {
            assert_eq!(client.value::<i64>("SELECT pinterest_rotate_key()")?, all);
            until("progress", || {
                let resealed = keys(&mut client)?[0].secrets;
                Ok(resealed > 0)
            })?;
            assert!(keys(&mut client)?[1].secrets > 0, "the locked row is not sealed yet");
            blocker.batch_execute("COMMIT")?;
            until_rotated(&mut client)
        })();
        over.store(true, Ordering::Relaxed);
        let Ok(refreshed) = refresher.join() else { panic!("the refresher panicked") };
        rotated?;
        assert!(refreshed? > 0);
        Ok(())
    })?;

    // Without the old key, every secret still opens.
    file.write(ring(&[2]).as_bytes())?;
    assert_eq!(doctor(&mut client, "secrets")?.0, "ok");
    for account in [accounts[0], accounts[200], accounts[259], world.account()] {
        let before = generation(&mut client, account)?;
        refresh(&mut client, Some(account))?;
        assert!(generation(&mut client, account)? > before);
    }
    let id: i64 = client.value_with("SELECT pinterest_import_board('Beach', $1)", &[&world.account()])?;
    complete(&mut client, id)?;
    assert_eq!(client.value::<i64>("SELECT pinterest_rotate_key()")?, 0, "no secrets are left to seal");
    Ok(())
}

#[test]
fn only_admins_get_the_number_of_secrets() -> Result<()> {
    let (world, file) = world(&[1])?;
    let mut chief = world.connect()?;
    let mut reader = role(&world.cluster, "reading", "reader")?;
    assert_eq!(doctor(&mut reader, "secrets")?, ("ok".into(), "all sealed with the active key".into()));
    let (_, said) = doctor(&mut chief, "secrets")?;
    assert!(said.ends_with(", all sealed with the active key"), "{said}");

    // The next key, then none of those that have sealed something.
    for keys in [ring(&[2, 1]), ring(&[2])] {
        file.write(keys.as_bytes())?;
        let (status, said) = doctor(&mut chief, "secrets")?;
        assert!(status != "ok" && said.starts_with(|c: char| c.is_ascii_digit()), "{said}");
        let (status, said) = doctor(&mut reader, "secrets")?;
        assert!(status != "ok" && said.starts_with("some are sealed with "), "{said}");
    }
    Ok(())
}

#[test]
fn a_killed_rotation_continues() -> Result<()> {
    let (world, file) = world(&[1])?;
    let mut client = world.connect()?;
    let accounts: Vec<i64> = (0..ACCOUNTS)
        .map(|number| store_grant(&world, &mut client, &format!("user{number}")))
        .collect::<Result<_>>()?;
    let all = keys(&mut client)?[0].secrets;
    file.write(ring(&[2, 1]).as_bytes())?;
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN")?;
    blocker.query_one("SELECT FROM pinterest.token WHERE account_id = $1 FOR UPDATE", &[&accounts[250]])?;
    client.query_one("SELECT pinterest_rotate_key()", &[])?;
    let half = wait_for("the first batches", SOON, || {
        let resealed = keys(&mut client)?[0].secrets;
        Ok((resealed > 0).then_some(resealed))
    })?;
    assert!(half < all, "{half} of {all}");
    // The session that locks the row ends with the server.
    let mut client = kill_worker(&world)?;
    until_rotated(&mut client)?;
    file.write(ring(&[2]).as_bytes())?;
    for account in [accounts[0], accounts[250], world.account()] {
        refresh(&mut client, Some(account))?;
    }
    Ok(())
}

#[test]
fn a_missing_key_is_reported_by_its_fingerprint() -> Result<()> {
    let (world, file) = world(&[1])?;
    let mut client = world.connect()?;
    import(&mut client, "Beach")?;
    let old = keys(&mut client)?[0].clone();
    file.write(ring(&[2]).as_bytes())?;
    let [new, missed] = keys(&mut client)?.try_into().unwrap_or_else(|keys| panic!("{keys:?}"));
    assert_eq!(missed, Key { active: false, in_ring: false, ..old.clone() });
    let names_both = |text: &str| text.contains(&old.fingerprint) && text.contains(&new.fingerprint);

    let refused = client.refused("SELECT pinterest_rotate_key()", "55000");
    assert!(names_both(&refused.message) && refused.message.contains(&old.secrets.to_string()), "{refused:?}");
    let refused = refusal(client.query("SELECT * FROM pinterest_list_boards()", &[]));
    assert!(names_both(&refused.message), "{refused:?}");
    let (status, text) = doctor(&mut client, "secrets")?;
    assert!(status == "problem" && names_both(&text), "{status}: {text}");

    // A worker without the key idles and logs that once.
    let asked = world.sandbox.requests().total();
    world.cluster.restart(e2e::Stop::Fast)?;
    let log_lines = |world: &World| -> Result<usize> {
        Ok(world.cluster.log()?.lines().filter(|line| line.contains("idle") && names_both(line)).count())
    };
    until("the worker's log line", || Ok(log_lines(&world)? > 0))?;
    let mut client = world.connect()?;
    client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?;
    let refused = expect_refusal(refresh(&mut client, None), "55000");
    assert!(names_both(&refused.message), "{refused:?}");
    assert_eq!(world.sandbox.requests().total(), asked);
    let status = "SELECT status FROM pinterest.accounts";
    assert_eq!(client.value::<String>(status)?, "connected", "the account stays connected");

    // After the key is back, everything works without a restart.
    file.write(ring(&[2, 1]).as_bytes())?;
    assert_eq!(doctor(&mut client, "secrets")?.0, "note");
    refresh(&mut client, None)?;
    assert!(log_lines(&world)? <= 2, "one line per worker, not one per second");
    client.query_one("SELECT pinterest_rotate_key()", &[])?;
    until_rotated(&mut client)?;
    file.write(ring(&[2]).as_bytes())?;
    refresh(&mut client, None)?;
    Ok(())
}
