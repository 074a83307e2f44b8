//! A Citus cluster: a coordinator with the extension and a Pinterest, and two other nodes.

use e2e::Installation;

use crate::support::prelude::*;

/// A coordinator and two other nodes.
pub struct CitusWorld {
    /// The other nodes; they stop before the coordinator.
    pub nodes: Vec<Cluster>,
    /// The coordinator.
    pub world: World,
    installation: Installation,
}

/// Settings of every node.
const SETTINGS: [(&str, &str); 5] = [
    ("shared_preload_libraries", "citus,pg_pinterest"),
    ("citus.shard_count", "4"),
    ("citus.enable_statistics_collection", "off"),
    ("wal_level", "logical"),
    ("max_connections", "100"),
];

impl CitusWorld {
    /// Starts one with this Pinterest, an app and an account; `None` if the server has no Citus: the test is skipped.
    pub fn start(config: Config) -> Result<Option<Self>> {
        let Some(citus) = Self::of_nodes(config)? else { return Ok(None) };
        let mut client = citus.world.connect()?;
        client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
        citus.world.register_app(&mut client, "sandbox")?;
        citus.world.connect_account(&mut client)?;
        Ok(Some(citus))
    }

    /// The same without the extension.
    pub fn of_nodes(config: Config) -> Result<Option<Self>> {
        let installation = match Installation::with_citus()? {
            Ok(installation) => installation,
            Err(reason) => {
                skip(&reason)?;
                return Ok(None);
            }
        };
        let mut coordinator = World::builder().sandbox(config).connected(false).installation(installation.clone());
        for (name, value) in SETTINGS {
            coordinator = coordinator.setting(name, value);
        }
        let world = coordinator.start()?;
        let mut citus = Self { nodes: Vec::new(), world, installation };
        let mut client = citus.world.connect()?;
        let (host, port) = address(&citus.world.cluster);
        // A node connects to itself when shards are moved.
        citus.world.cluster.change("citus.local_hostname", &host)?;
        client.batch_execute("CREATE EXTENSION citus")?;
        client.execute("SELECT citus_set_coordinator_host($1, $2)", &[&host, &port])?;
        for _ in 0..2 {
            let node = citus.node()?;
            citus.add(&mut client, &node)?;
            citus.nodes.push(node);
        }
        Ok(Some(citus))
    }

    /// Starts a server that can be added.
    pub fn node(&self) -> Result<Cluster> {
        let node =
            Cluster::builder().preload(true).installation(self.installation.clone()).settings(SETTINGS).start()?;
        node.change("citus.local_hostname", &address(&node).0)?;
        node.connect()?.batch_execute("CREATE EXTENSION citus")?;
        Ok(node)
    }

    /// Lets `pinterest_worker` log in on every node, which `pinterest_distribute()` requires.
    pub fn admit_worker(&self, client: &mut Client) -> Result<()> {
        client.batch_execute("SELECT run_command_on_all_nodes('ALTER ROLE pinterest_worker LOGIN')")?;
        Ok(())
    }

    /// Adds a node.
    pub fn add(&self, client: &mut Client, node: &Cluster) -> Result<()> {
        let (host, port) = address(node);
        client.execute("SELECT citus_add_node($1, $2)", &[&host, &port])?;
        Ok(())
    }
}

/// What libpq connects to: the directory of the socket, in place of a host.
fn address(cluster: &Cluster) -> (String, i32) {
    (cluster.socket_directory().display().to_string(), cluster.port().into())
}
