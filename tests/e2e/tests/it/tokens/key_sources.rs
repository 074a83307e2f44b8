//! Sources of keys: a file with safe permissions, or a command.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use e2e::ServerFile;

use crate::support::key_files::{key, key_file, ring};
use crate::support::oauth::{doctor, refresh};
use crate::support::prelude::*;

/// How long the server waits for a key command.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

const LIST: &str = "SELECT * FROM pinterest_list_boards()";

#[test]
fn the_server_starts_and_refuses_an_unsafe_key_file() -> Result<()> {
    let file = key_file(&[1])?;
    let world =
        World::builder().sandbox(quick_board("Beach", 1)).setting("pinterest.key_file", &file.setting()).start()?;
    let aside = file.path().with_extension("aside");
    let mode = |mode| fs::set_permissions(file.path(), fs::Permissions::from_mode(mode));
    let asked = world.sandbox.requests().total();
    type Step<'a> = &'a dyn Fn() -> std::io::Result<()>;
    let cases: [(&str, Step<'_>, Step<'_>, &str); 5] = [
        ("missing", &|| fs::rename(file.path(), &aside), &|| fs::rename(&aside, file.path()), "cannot be opened"),
        ("0644", &|| mode(0o644), &|| mode(0o600), "0644"),
        (
            "a symbolic link",
            &|| fs::rename(file.path(), &aside).and_then(|()| symlink(&aside, file.path())),
            &|| fs::rename(&aside, file.path()),
            "symbolic link",
        ),
        ("cut off", &|| fs::write(file.path(), &key(1)[..20]), &|| fs::write(file.path(), ring(&[1])), "line 1"),
        ("empty", &|| fs::write(file.path(), ""), &|| fs::write(file.path(), ring(&[1])), "no key"),
    ];
    for (name, spoil, mend, rule) in cases {
        spoil()?;
        world.cluster.restart(Stop::Fast)?;
        let mut client = world.connect()?;
        let refused = client.refused(LIST, "F0000");
        let path = file.setting();
        assert!(refused.message.contains(rule) && refused.message.contains(&path), "{name}: {refused:?}");
        assert!(!refused.message.contains(&key(1)[..20]), "{name}: {refused:?}");
        let (status, text) = doctor(&mut client, "key")?;
        assert!(status == "problem" && text.contains(rule), "{name}: {status}: {text}");
        assert_eq!(world.sandbox.requests().total(), asked);
        mend()?;
        assert_eq!(doctor(&mut client, "key")?.0, "ok", "{name}");
    }
    assert_eq!(world.connect()?.query(LIST, &[])?.len(), 1);
    Ok(())
}

#[test]
fn a_key_command_is_limited_in_time_and_output() -> Result<()> {
    let script = ServerFile::new(".sh", format!("echo '{}'", key(1)).as_bytes())?;
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 1))
        .setting("pinterest.key_command", &format!("sh {}", script.setting()))
        .start()?
        .with_session()?;
    refresh(&mut client, None)?;
    assert!(!world.cluster.data_directory().join("pinterest.key").exists(), "no key file was created");

    let asked = world.sandbox.requests().total();
    let canary = "canary-of-a-key-command";
    for (name, text, at_most) in [
        ("ends with 1", format!("echo {canary}; exit 1"), COMMAND_LIMIT),
        ("prints no key", format!("echo {canary}"), COMMAND_LIMIT),
        ("prints nothing", "true".to_owned(), COMMAND_LIMIT),
        ("prints without end", format!("while :; do echo {canary}; done"), COMMAND_LIMIT),
        ("hangs", "echo begun; sleep 600".to_owned(), COMMAND_LIMIT + Duration::from_secs(3)),
        ("leaves a child with the pipe", "sleep 600 & echo begun".to_owned(), COMMAND_LIMIT + Duration::from_secs(3)),
    ] {
        script.write(text.as_bytes())?;
        let began = Instant::now();
        let refused = refusal(client.query(LIST, &[]));
        assert!(began.elapsed() < at_most, "{name}: {:?}", began.elapsed());
        assert_eq!(refused.code, "F0000", "{name}: {refused:?}");
        assert!(refused.message.contains("pinterest.key_command"), "{name}: {refused:?}");
        assert!(!format!("{refused:?}").contains(canary), "{name}: {refused:?}");
    }
    // The server starts even if the command fails.
    let began = Instant::now();
    world.cluster.restart(Stop::Fast)?;
    assert!(began.elapsed() < COMMAND_LIMIT, "{:?}", began.elapsed());
    assert!(!world.cluster.log()?.contains(canary), "the command's output may be a key");
    assert_eq!(world.sandbox.requests().total(), asked);

    script.write(format!("echo '{}'", key(1)).as_bytes())?;
    let mut client = world.connect()?;
    assert_eq!(client.query(LIST, &[])?.len(), 1);
    refresh(&mut client, None)?;
    Ok(())
}
