//! Clusters of tests start, restart, and leave no files behind.

use e2e::ServerUser;

use crate::support::prelude::*;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_cluster_runs_unprivileged_restarts_and_is_removed() -> e2e::Result<()> {
    let cluster = Cluster::builder().setting("work_mem", "7MB").start()?;
    let mut client = cluster.connect()?;
    assert_eq!(client.value::<String>("SHOW work_mem")?, "7MB");
    assert_eq!(cluster.psql("SELECT 6 * 7")?, "42\n");
    // A server does not start as root; its files must belong to the unprivileged user.
    let owner = std::process::Command::new("stat").args(["-c", "%U"]).arg(cluster.data_directory()).output()?;
    assert_eq!(String::from_utf8_lossy(&owner.stdout).trim(), ServerUser::get()?.name());

    client.batch_execute("CREATE TABLE kept (); ")?;
    cluster.restart(Stop::Immediate)?;
    assert_eq!(cluster.psql("SELECT count(*) FROM kept")?, "0\n");
    assert!(cluster.log()?.contains("automatic recovery"), "an immediate stop is followed by recovery");

    let directory = cluster.directory().to_path_buf();
    let sockets = cluster.socket_directory().to_path_buf();
    drop(cluster);
    assert!(!directory.exists() && !sockets.exists());
    Ok(())
}

#[test]
fn settings_reload_and_roles_connect() -> e2e::Result<()> {
    let cluster = Cluster::builder().start()?;
    cluster.create_role("someone")?;
    let mut someone = cluster.connect_as("someone")?;
    assert_eq!(someone.value::<String>("SELECT current_user::text")?, "someone");
    cluster.change("log_min_duration_statement", "1234")?;
    assert_eq!(cluster.psql("SHOW log_min_duration_statement")?, "1234ms\n");
    Ok(())
}

#[test]
fn a_killed_server_process_is_replaced() -> e2e::Result<()> {
    let cluster = Cluster::builder().start()?;
    let writer = cluster.wait_for_backend("walwriter", SOON)?;
    cluster.kill9(writer.pid)?;
    // After a SIGKILL, the postmaster ends all sessions and starts its processes again.
    let another = e2e::wait_for("another walwriter", SOON, || {
        Ok(cluster.backends("walwriter").ok().and_then(|found| found.into_iter().find(|one| one.pid != writer.pid)))
    })?;
    assert_ne!(another.pid, writer.pid);
    Ok(())
}
