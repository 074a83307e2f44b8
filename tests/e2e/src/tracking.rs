//! Servers whose workers leave tracked columns alone: the queue stays as the triggers left it.

use postgres::Client;

use crate::{Cluster, Result, cluster};

/// Makes every tracked column wait without end.
const NO_WORKERS: &str = "
    CREATE FUNCTION wait_for_ever() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.next_attempt_at := 'infinity'; RETURN NEW; END $$;
    CREATE TRIGGER wait_for_ever BEFORE INSERT OR UPDATE ON pinterest.tracked_column
        FOR EACH ROW EXECUTE FUNCTION wait_for_ever();";

/// Creates a table of venues with a description to track.
pub const VENUES: &str =
    "CREATE TABLE venues (id bigint PRIMARY KEY, description text, photo bytea, embedding vector(512));";

/// Starts such a server with the extension in its first database.
pub fn start(builder: cluster::Builder) -> Result<(Cluster, Client)> {
    let cluster = builder.preload(true).start()?;
    let mut client = cluster.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    client.batch_execute(NO_WORKERS)?;
    Ok((cluster, client))
}
