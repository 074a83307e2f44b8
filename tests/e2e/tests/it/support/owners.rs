//! Roles that own apps and accounts, and dumps of what they own.

use std::path::PathBuf;
use std::process::Command;

use crate::support::prelude::*;

/// A server with the extension, and a session of its superuser.
pub fn server() -> Result<(Cluster, Client)> {
    let cluster = Cluster::builder().own_identity().start()?;
    let mut client = cluster.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    Ok((cluster, client))
}

/// Creates a role with a level and connects as it.
pub fn role(cluster: &Cluster, name: &str, level: &str) -> Result<Client> {
    cluster.create_role(name)?;
    let mut client = cluster.connect()?;
    client.execute("SELECT pinterest_grant($1, $2)", &[&name, &level])?;
    client.batch_execute(&format!("GRANT CREATE ON SCHEMA public TO \"{name}\""))?;
    cluster.connect_as(name)
}

/// Registers an app of that name and stores an account's tokens for it; returns the account's id.
pub fn settle(client: &mut Client, app: &str) -> Result<i64> {
    client.query_one("SELECT pinterest_register_app($1, '1234567', 'secret', 'https://example.com/')", &[&app])?;
    let sql = "SELECT pinterest_store_token('access', 'refresh', app => $1, username => $1)";
    client.value_with(sql, &[&app])
}

/// Drops a role and its objects in this database.
pub fn drop_role(client: &mut Client, name: &str) -> Result<()> {
    Ok(client.batch_execute(&format!("DROP OWNED BY \"{name}\"; DROP ROLE \"{name}\""))?)
}

/// Owners of all accounts, in the order of their ids.
pub fn owners(client: &mut Client) -> Result<Vec<String>> {
    client.value("SELECT COALESCE(array_agg(owner ORDER BY account_id), '{}') FROM pinterest.accounts")
}

/// Dumps the cluster's database into a file.
pub fn dump(cluster: &Cluster, database: &str) -> Result<PathBuf> {
    let file = cluster.directory().join("dump");
    succeed(cluster.program("pg_dump")?.args(["--format=custom", "--file"]).arg(&file).arg(database))?;
    Ok(file)
}

/// Restores a dump into a database of a cluster, stopping at the first error.
pub fn restore(dump: &PathBuf, cluster: &Cluster, database: &str, options: &[&str]) -> Result<()> {
    let mut restore = cluster.program("pg_restore")?;
    succeed(restore.arg("--exit-on-error").args(options).args(["--dbname", database]).arg(dump))
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
