//! The settings. One block per setting: its static (name, default, bounds, description) and its typed accessor. No
//! other file reads a raw setting.

use std::ffi::{CStr, CString};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgrx::guc::{GucContext, GucEnum, GucFlags, GucRegistry, GucSetting, GucValue, PostgresGucEnum};
use pinterest::model::Ladder;
use pinterest::{Endpoints, Host, PrivateHost, Proxy};

use crate::errors::{Failure, Kind};

/// A setting. Its value is read by [`Setting::get`].
struct Setting<T: GucValue + 'static> {
    name: &'static CStr,
    value: GucSetting<T>,
    /// Least and greatest value of an integer.
    range: (i32, i32),
    change: Change,
    flags: GucFlags,
    short: &'static CStr,
    long: &'static CStr,
    register: fn(&'static Setting<T>, GucContext),
}

/// When a setting can change.
#[derive(Clone, Copy)]
enum Change {
    /// With a restart of a server that preloads the library: it decides where a token is sent, or which program runs.
    /// Postgres refuses to define such a setting after the start, so without preloading it changes with a reload: no
    /// SQL role can set it either way.
    OnRestart,
    /// With a reload.
    OnReload,
}

impl<T: GucValue> Setting<T> {
    fn get(&self) -> T {
        self.value.get()
    }

    fn define(&'static self, preloading: bool) {
        let context = match self.change {
            Change::OnRestart if preloading => GucContext::Postmaster,
            _ => GucContext::Sighup,
        };
        (self.register)(self, context);
    }
}

type Text = Setting<Option<CString>>;
type Integer = Setting<i32>;

/// A text that changes on restart.
const fn text(
    name: &'static CStr,
    default: &'static CStr,
    flags: GucFlags,
    short: &'static CStr,
    long: &'static CStr,
) -> Text {
    text_that_changes(Change::OnRestart, name, default, flags, short, long)
}

/// A text.
const fn text_that_changes(
    change: Change,
    name: &'static CStr,
    default: &'static CStr,
    flags: GucFlags,
    short: &'static CStr,
    long: &'static CStr,
) -> Text {
    Setting {
        name,
        value: GucSetting::<Option<CString>>::new(Some(default)),
        range: (0, 0),
        change,
        flags,
        short,
        long,
        register: |this, context| {
            GucRegistry::define_string_guc(this.name, this.short, this.long, &this.value, context, this.flags);
        },
    }
}

/// An integer that changes on reload; the flags contain its unit.
const fn integer(
    name: &'static CStr,
    default: i32,
    range: RangeInclusive<i32>,
    flags: GucFlags,
    short: &'static CStr,
    long: &'static CStr,
) -> Integer {
    Setting {
        name,
        value: GucSetting::<i32>::new(default),
        range: (*range.start(), *range.end()),
        change: Change::OnReload,
        flags,
        short,
        long,
        register: |this, context| {
            let (low, high) = this.range;
            GucRegistry::define_int_guc(this.name, this.short, this.long, &this.value, low, high, context, this.flags);
        },
    }
}

/// A switch that changes on reload.
const fn switch(name: &'static CStr, default: bool, short: &'static CStr, long: &'static CStr) -> Setting<bool> {
    Setting {
        name,
        value: GucSetting::<bool>::new(default),
        range: (0, 0),
        change: Change::OnReload,
        flags: PLAIN,
        short,
        long,
        register: |this, context| {
            GucRegistry::define_bool_guc(this.name, this.short, this.long, &this.value, context, this.flags);
        },
    }
}

/// One of several words.
const fn choice<T: GucEnum>(
    name: &'static CStr,
    default: T,
    change: Change,
    short: &'static CStr,
    long: &'static CStr,
) -> Setting<T> {
    Setting {
        name,
        value: GucSetting::<T>::new(default),
        range: (0, 0),
        change,
        flags: PLAIN,
        short,
        long,
        register: |this, context| {
            GucRegistry::define_enum_guc(this.name, this.short, this.long, &this.value, context, this.flags);
        },
    }
}

/// A text that nothing changes: a property of the library.
const fn preset(name: &'static CStr, value: &'static CStr, short: &'static CStr, long: &'static CStr) -> Text {
    Setting {
        name,
        value: GucSetting::<Option<CString>>::new(Some(value)),
        range: (0, 0),
        change: Change::OnRestart,
        flags: GucFlags::DISALLOW_IN_FILE,
        short,
        long,
        register: |this, _| {
            let context = GucContext::Internal;
            GucRegistry::define_string_guc(this.name, this.short, this.long, &this.value, context, this.flags);
        },
    }
}

/// This library's version.
const LIBRARY: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Shown to every role, and without a unit.
const PLAIN: GucFlags = GucFlags::empty();
/// Shown to superusers and members of pg_read_all_settings, because an administrator may have put a password into it.
const DISCREET: GucFlags = GucFlags::SUPERUSER_ONLY;

/// Items, among them statics of type [`Setting`], which it collects for [`define`].
macro_rules! settings {
    (@[$($found:ident)*] $(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr; $($rest:tt)*) => {
        $(#[$attribute])*
        static $name: $type = $value;
        settings! { @[$($found)* $name] $($rest)* }
    };
    (@[$($found:ident)*] $item:item $($rest:tt)*) => {
        $item
        settings! { @[$($found)*] $($rest)* }
    };
    (@[$($found:ident)*]) => {
        /// Defines the settings and reserves their prefix, so that a misspelled one is refused.
        pub fn define(preloading: bool) {
            $($found.define(preloading);)*
            reserve_prefix();
        }
    };
    ($($items:tt)*) => {
        settings! { @[] $($items)* }
    };
}

settings! {
    /// For upgrade steps, which need the library of their version. Sessions of one server can have different ones: a session
    /// keeps the library that it has loaded.
    static LIBRARY_VERSION: Text = preset(c"pinterest.library_version", LIBRARY,
        c"Version of the library that this session has loaded.",
        c"",
    );

    // Requests.

    /// The only API host of Pinterest; the tests' sandbox and Pinterest's own sandbox are reached by their names.
    static API_HOST: Text = text(c"pinterest.api_host", c"api.pinterest.com", PLAIN,
        c"Host of the Pinterest API, with an optional port.",
        c"Tokens are sent here, over https. Loopback is allowed only if it is named here literally.",
    );

    /// Only part of the URL that a browser opens; the extension sends no request there.
    static AUTHORIZE_HOST: Text = text(c"pinterest.authorize_host", c"www.pinterest.com", PLAIN,
        c"Host of Pinterest's authorization page, with an optional port.",
        c"Used in the URL that pinterest_authorize_url() returns.",
    );

    /// A URL in Pinterest's JSON is not trusted: images are downloaded from these hosts and no others.
    static IMAGE_HOSTS: Text = text(c"pinterest.image_hosts", c"i.pinimg.com", PLAIN,
        c"Hosts that images may be downloaded from, separated by commas.",
        c"An image URL with any other host is refused.",
    );

    /// The hosts that requests may be sent to, and the additional certificate authorities.
    pub fn endpoints() -> Result<Endpoints, Failure> {
        Ok(Endpoints {
            api: host(&API_HOST, &API_HOST.string())?,
            authorize: host(&AUTHORIZE_HOST, &AUTHORIZE_HOST.string())?,
            images: hosts(&IMAGE_HOSTS)?,
            private_images: Vec::new(),
            proxy: proxy()?,
            ca_file: CA_FILE.path(),
        })
    }

    /// Empty: the URLs in a user's table are written by every role that may write there, and the server would download
    /// them from inside its own network. The administrator decides which hosts are worth that.
    static TRACKED_IMAGE_HOSTS: Text = text(c"pinterest.tracked_image_hosts", c"", PLAIN,
        c"Hosts that image URLs in tracked columns may be downloaded from, separated by commas.",
        c"Each with an optional port, over https. A URL with any other host is refused; empty: every URL is refused.",
    );

    /// Empty: only the DBA can decide that a host in a user's table may resolve to the server's own network.
    static PRIVATE_IMAGE_HOSTS: Text = text(c"pinterest.private_image_hosts", c"", PLAIN,
        c"Tracked image hosts with addresses of an internal network, as host=range, separated by commas.",
        c"For example minio.internal=10.20.0.0/16. Such a host may have addresses of its ranges and no others.",
    );

    /// As [`endpoints`], for the image URLs of tracked columns: their own hosts, to which no token is sent.
    pub fn tracked_endpoints() -> Result<Endpoints, Failure> {
        Ok(Endpoints {
            images: hosts(&TRACKED_IMAGE_HOSTS)?,
            private_images: private_image_hosts()?,
            ..endpoints()?
        })
    }

    fn private_image_hosts() -> Result<Vec<PrivateHost>, Failure> {
        let read = |pair: &str| {
            pair.trim().parse().map_err(|error| {
                Failure::new(Kind::Config, format!("pinterest.private_image_hosts cannot be read: {error}")).with_hint(
                    "Write pairs of a host without its port and an address range, for example minio.internal=10.20.0.0/16.",
                )
            })
        };
        PRIVATE_IMAGE_HOSTS.string().split(',').filter(|pair| !pair.trim().is_empty()).map(read).collect()
    }

    /// Empty: requests go directly to their hosts. The environment is not read, because it depends on how the server
    /// happened to be started.
    static PROXY: Text = text(c"pinterest.proxy", c"", DISCREET,
        c"HTTP proxy that requests go through, as http://host:port or https://host:port.",
        c"Connections are opened by CONNECT and are https from end to end. Hosts of pinterest.private_image_hosts are reached without it.",
    );

    /// Empty: the proxy requires none.
    static PROXY_CREDENTIALS_FILE: Text = text(c"pinterest.proxy_credentials_file", c"", DISCREET,
        c"File with the user and password for the proxy, as user:password on one line.",
        c"It needs the same ownership and mode as the key file. It is read again when it has changed.",
    );

    /// Empty: if there is a proxy, all hosts are reached through it, except those of pinterest.private_image_hosts.
    static NO_PROXY: Text = text(c"pinterest.no_proxy", c"", PLAIN,
        c"Hosts that are reached without pinterest.proxy, separated by commas.",
        c"Each with its port if the other settings name it with one.",
    );

    fn proxy() -> Result<Option<Proxy>, Failure> {
        let address = PROXY.string();
        let address = address.trim();
        if address.is_empty() {
            return Ok(None);
        }
        let address = address.parse().map_err(|error| {
            Failure::new(Kind::Config, format!("pinterest.proxy cannot be read: {error}"))
                .with_hint("Write it for example as http://proxy.internal:3128, and a user and password into the file that pinterest.proxy_credentials_file names.")
        })?;
        let bypass = hosts(&NO_PROXY)?;
        Ok(Some(Proxy { address, credentials_file: PROXY_CREDENTIALS_FILE.path(), bypass }))
    }

    /// Empty: only the platform's certificate authorities.
    static CA_FILE: Text = text(c"pinterest.ca_file", c"", PLAIN,
        c"PEM file of certificate authorities that are trusted in addition to the platform's.",
        c"",
    );

    // Secrets.

    /// Empty: a key is created in the data directory on first use, with a WARNING to move it elsewhere.
    static KEY_FILE: Text = text(c"pinterest.key_file", c"", PLAIN,
        c"File with the keys that seal tokens, one per line, the first one active.",
        c"Regular file, owned by the server's user or root, without permissions for others. Empty: a key is created in the data directory.",
    );

    /// The configured key file, if any.
    pub fn key_file() -> Option<PathBuf> {
        KEY_FILE.path()
    }

    /// Empty: a file is simpler; a command is for keys that are stored in a vault.
    static KEY_COMMAND: Text = text(c"pinterest.key_command", c"", PLAIN,
        c"Shell command that prints the keys that seal tokens, instead of pinterest.key_file.",
        c"Run by each process that needs the keys, within 10 seconds.",
    );

    /// The command that prints the keys, if any.
    pub fn key_command() -> Option<String> {
        Some(KEY_COMMAND.string()).filter(|command| !command.is_empty())
    }

    /// Empty: client secrets are registered by SQL.
    static APP_SECRET_FILE: Text = text(c"pinterest.app_secret_file", c"", PLAIN,
        c"File with client secrets of apps, a client id and its secret on each line.",
        c"For apps registered without a secret. It needs the same ownership and mode as the key file.",
    );

    /// The file with client secrets, if any.
    pub fn app_secret_file() -> Option<PathBuf> {
        APP_SECRET_FILE.path()
    }

    // Copies of a database, and data at rest.

    /// on: a restored dump sends nothing, and a failover needs no intervention. Only its DBA can distinguish a physical
    /// copy from a failover, so strict has to be chosen.
    static CLONE_FENCE: Setting<CloneFence> = choice(c"pinterest.clone_fence", CloneFence::On, Change::OnRestart,
        c"Which copies of the database send no requests until pinterest_adopt() is called: off, on or strict.",
        c"on: a restored dump and a logical subscriber. strict: also another host or data directory, and so a promoted standby.",
    );

    /// Which copies of a database send no requests.
    pub fn clone_fence() -> CloneFence {
        CLONE_FENCE.get()
    }

    /// 0: no data is deleted without a request. How long data may be stored is between the operator and Pinterest, see
    /// the README.
    static RETENTION: Integer = integer(c"pinterest.retention", 0, 0..=i32::MAX, GucFlags::UNIT_MIN,
        c"Pins, images, vectors and finished imports are deleted when they were imported longer ago than this; 0 keeps them.",
        c"The age of a pin counts from the last import that found it on its board, that of a removed pin from the import that found it removed. Boards and their settings stay.",
    );

    /// How long imported rows are kept; `None`: without limit.
    pub fn retention() -> Option<Duration> {
        RETENTION.seconds().map(|minutes| minutes * 60)
    }

    /// off: Pinterest's guidelines require that data from different people's accounts is not combined.
    static REUSE_ACROSS_ACCOUNTS: Setting<bool> = switch(c"pinterest.reuse_across_accounts", false,
        c"If any account has an embedding of an image, the image is neither downloaded nor embedded again.",
        c"Off: only within one account.",
    );

    /// May embeddings be copied from one account's images to another's?
    pub fn reuse_across_accounts() -> bool {
        REUSE_ACROSS_ACCOUNTS.get()
    }

    // Workers.

    /// 1: one worker keeps the embedder busy and refreshes thousands of accounts.
    static WORKERS_PER_DATABASE: Integer = integer(c"pinterest.workers_per_database", 1, 1..=8, PLAIN,
        c"Workers that serve one database at the same time.",
        c"More than one is useful only if many accounts import at the same time and cores are idle.",
    );

    /// Workers that serve one database.
    pub fn workers_per_database() -> usize {
        usize::try_from(WORKERS_PER_DATABASE.get()).unwrap_or(1)
    }

    /// A minute: a worker stays for a series of imports, and an idle database has none that could block DROP DATABASE.
    static WORKER_IDLE_TIMEOUT: Integer = integer(c"pinterest.worker_idle_timeout", 60, 1..=86_400, GucFlags::UNIT_S,
        c"A database's worker disconnects after this time without work.",
        c"The next call that needs it starts it again.",
    );

    /// How long a database's worker stays without work.
    pub fn worker_idle_timeout() -> Duration {
        WORKER_IDLE_TIMEOUT.seconds().unwrap_or(Duration::from_secs(60))
    }

    /// 1,000: more boards than a person has, and far too few for one account's queue to slow down others.
    static MAX_QUEUED_IMPORTS: Integer = integer(c"pinterest.max_queued_imports", 1000, 1..=1_000_000, PLAIN,
        c"Maximum number of imports of one account that are waiting or running.",
        c"A call that would queue one more is refused. Imports that sync_every queues are counted, but never refused.",
    );

    /// Maximum number of imports of one account that are waiting or running.
    pub fn max_queued_imports() -> i64 {
        i64::from(MAX_QUEUED_IMPORTS.get())
    }

    /// 8: at 50 ms each, enough for 160 images per second. Many more lower the success rate at public CDNs. At most 32: twice
    /// as many images are claimed, and a slow embedder must embed those of all imports within their lease.
    static PARALLEL_DOWNLOADS: Integer = integer(c"pinterest.parallel_downloads", 8, 1..=32, PLAIN,
        c"Images downloaded at the same time for one import.",
        c"A worker may hold as many images of pinterest.max_image_size in memory for each import, and as many of up to 4 MB.",
    );

    /// Images downloaded at the same time for one import.
    pub fn parallel_downloads() -> usize {
        usize::try_from(PARALLEL_DOWNLOADS.get()).unwrap_or(1)
    }

    /// A second: triggers that maintain a search index or an audit trail take milliseconds; a table whose code takes
    /// longer than this per row would delay all other tables.
    static TRACKED_ROW_TIMEOUT: Integer = integer(c"pinterest.tracked_row_timeout", 1000, 10..=60_000, GucFlags::UNIT_MS,
        c"Maximum time that triggers, policies and other code of a tracked table may take for one row.",
        c"A tracking worker that exceeds it ends, and another one starts.",
    );

    /// How long the code of a tracked table's owner may take for one row.
    pub fn tracked_row_timeout() -> Duration {
        Duration::from_millis(u64::try_from(TRACKED_ROW_TIMEOUT.get()).unwrap_or(1000))
    }

    // The embedder.

    /// The default is where `clip-weights` puts a model, so that a server needs no setting.
    static MODEL_DIR: Text = text(c"pinterest.model_dir", c"/var/lib/pg_pinterest/clip-vit-base-patch32", PLAIN,
        c"Directory of the CLIP ViT-B/32 model (config.json, model.safetensors).",
        c"Created by pinterest-clip-weights.",
    );

    /// The model directory, if one is set.
    pub fn model_dir() -> Option<PathBuf> {
        MODEL_DIR.path()
    }

    /// Checks that requests can be sent to an embedder: that the embedders are named, that one on this machine has a model's
    /// directory, and that those on other machines can be reached by certificates.
    ///
    /// # Errors
    ///
    /// A setting is missing or wrong.
    pub fn require_embedder() -> Result<(), Failure> {
        let embedders = embedders()?;
        if embedders.include_local() && model_dir().is_none() {
            return Err(Failure::new(Kind::ModelMissing, "pinterest.model_dir is not set"));
        }
        if embedders.are_local() {
            return Ok(());
        }
        match embedder_tls().into_iter().find(|(_, file)| file.is_none()) {
            Some((name, _)) => {
                Err(Failure::new(Kind::Config, format!("pinterest.embedder_tls_{name} is not set")).with_hint(
                    "Embedders on other machines are reached with a certificate, its key and the authority's certificate: set \
                     pinterest.embedder_tls_certificate, pinterest.embedder_tls_key and pinterest.embedder_tls_ca.",
                ))
            }
            None => Ok(()),
        }
    }

    /// local: a server of its own needs no other machine, and no other machine sees its images.
    static EMBEDDERS: Text = text_that_changes(Change::OnReload, c"pinterest.embedders", c"local", PLAIN,
        c"Embedders that images and texts are spread over: local, and names or addresses of other machines with ports.",
        c"The port is 7433 if left out; a name with several addresses is several embedders. Only embedders with the same model, precision and preprocessing are used. A reload restarts the embedder on this machine.",
    );

    /// The embedders.
    ///
    /// # Errors
    ///
    /// The setting is not a list of embedders.
    pub fn embedders() -> Result<embedder::Places, Failure> {
        embedder_list().parse().map_err(|why| {
            Failure::new(Kind::Config, format!("invalid value for pinterest.embedders: {why}"))
                .with_hint("Set it to a list such as: local, gpu1.internal:7433")
        })
    }

    /// The embedders as they were set.
    pub fn embedder_list() -> String {
        Some(EMBEDDERS.string()).filter(|list| !list.trim().is_empty()).unwrap_or_else(|| "local".to_owned())
    }

    /// Empty: embedders on other machines cannot be used.
    static EMBEDDER_CERTIFICATE: Text = text_that_changes(Change::OnReload, c"pinterest.embedder_tls_certificate", c"", PLAIN,
        c"File with the certificate by which embedders on other machines know this server (PEM).",
        c"Replaced files are read again without a reload.",
    );

    /// See above.
    static EMBEDDER_KEY: Text = text_that_changes(Change::OnReload, c"pinterest.embedder_tls_key", c"", PLAIN,
        c"File with the private key of pinterest.embedder_tls_certificate (PEM).",
        c"It must belong to the server's user or root, and be readable by nobody else except its group. It is read by pinterest-embedder, not by the server.",
    );

    /// See above.
    static EMBEDDER_CA: Text = text_that_changes(Change::OnReload, c"pinterest.embedder_tls_ca", c"", PLAIN,
        c"File with the certificates of the authorities that sign those of embedders on other machines (PEM).",
        c"Replaced files are read again without a reload.",
    );

    /// Certificate, key and authorities for embedders on other machines, as far as they are set.
    pub fn embedder_tls() -> [(&'static str, Option<PathBuf>); 3] {
        [("certificate", EMBEDDER_CERTIFICATE.path()), ("key", EMBEDDER_KEY.path()), ("ca", EMBEDDER_CA.path())]
    }

    /// 10 s: longer than a network needs to find another way, and short enough that an import does not stand still.
    static EMBEDDER_TIMEOUT: Integer = integer(c"pinterest.embedder_timeout", 10, 1..=3600, GucFlags::UNIT_S,
        c"An embedder of several that does not say within this time that it is well gets no more work; what it had is given to others.",
        c"It is used again as soon as it answers.",
    );

    /// How long an embedder of several may not answer.
    pub fn embedder_timeout() -> Duration {
        EMBEDDER_TIMEOUT.seconds().unwrap_or(Duration::from_secs(10))
    }

    /// Names the file of a model that a directory lacks, or that this process cannot see.
    pub fn missing_model_file(directory: &Path) -> Option<String> {
        let missing = ["config.json", "model.safetensors"].into_iter().find(|file| !directory.join(file).is_file())?;
        Some(format!("no file {missing} in {}", directory.display()))
    }

    /// Empty: where the package and `make install` put it, or beside the library in an extension image.
    static EMBEDDER_PATH: Text = text(c"pinterest.embedder_path", c"", PLAIN,
        c"Path of the program pinterest-embedder.",
        c"Empty: in the directory bin beside that of the library, or else in that of the server's programs.",
    );

    /// The embedder's program.
    pub fn embedder_path() -> PathBuf {
        EMBEDDER_PATH.path().unwrap_or_else(|| crate::postgres::platform::installed_program("pinterest-embedder"))
    }

    /// auto: the fastest precision whose vectors rank as the reference's do (cosine to f32 above 0.9999): bf16 on x86-64
    /// with AVX2, so that unlike servers, such as a primary and its standbys, make vectors of one model; otherwise f32.
    ///
    /// It changes with a reload, which is safe: vectors of different precisions are never mixed, see pinterest.model.
    static CLIP_PRECISION: Setting<ClipPrecision> = choice(c"pinterest.clip_precision", ClipPrecision::Auto, Change::OnReload,
        c"Precision that the embedder computes in: auto, f32, bf16 or int8.",
        c"auto: bf16 on x86-64 with AVX2, otherwise f32. int8 is the fastest and not validated on trained weights. Each makes vectors of a model of its own; a reload restarts the embedder.",
    );

    /// The precision that the embedder computes in.
    pub fn clip_precision() -> ClipPrecision {
        CLIP_PRECISION.get()
    }

    /// 0: the embedder uses one thread per core; the server's own work is light beside inference.
    static EMBEDDER_THREADS: Integer = integer(c"pinterest.embedder_threads", 0, 0..=256, PLAIN,
        c"Threads of the embedder; 0 for one per core.",
        c"A reload restarts the embedder.",
    );

    /// Threads of the embedder; `None`: one per core.
    pub fn embedder_threads() -> Option<u32> {
        u32::try_from(EMBEDDER_THREADS.get()).ok().filter(|&threads| threads > 0)
    }

    /// Ten minutes: long enough to stay warm between an app's searches, short enough to release its memory overnight.
    static EMBEDDER_IDLE_TIMEOUT: Integer = integer(c"pinterest.embedder_idle_timeout", 600, 0..=86_400, GucFlags::UNIT_S,
        c"The embedder ends and releases its memory after this time without a request; 0 keeps it running.",
        c"The next request starts it again, as does a reload that changes this setting.",
    );

    /// How long the embedder stays without a request; `None`: without limit.
    pub fn embedder_idle_timeout() -> Option<Duration> {
        EMBEDDER_IDLE_TIMEOUT.seconds()
    }

    /// 4 GB: weights and their copy during loading take 1.3 GB, a large image a quarter of the limit, and small ones
    /// beside it, of which each thread that decodes has one of at most 128 MB, no more than that together.
    static EMBEDDER_MEMORY_LIMIT: Integer = integer(c"pinterest.embedder_memory_limit", 4096, 0..=1 << 20, GucFlags::UNIT_MB,
        c"Maximum address space of the embedder; 0 for no limit.",
        c"A quarter of it is for decoding one large image; an image that needs more is refused. A reload restarts the embedder.",
    );

    /// The embedder's address space in bytes; `None`: no limit.
    pub fn embedder_memory_limit() -> Option<u64> {
        u64::try_from(EMBEDDER_MEMORY_LIMIT.get()).ok().filter(|&megabytes| megabytes > 0).map(|megabytes| megabytes << 20)
    }

    // Images, in imports, tracked columns and calls alike. Not settable per session: a trigger of a tracked table runs
    // in a worker's session, and must not change them for other tables.

    /// 64 MB: more than cameras of 100 and phones of 200 megapixels write, and a download takes this much memory.
    static MAX_IMAGE_SIZE: Integer = integer(c"pinterest.max_image_size", 64 << 10, 64..=256 << 10, GucFlags::UNIT_KB,
        c"Maximum size of an image file; the download of a larger one is stopped, and it is not embedded.",
        c"A reload restarts the embedder.",
    );

    /// Maximum bytes of an image.
    pub fn max_image_bytes() -> usize {
        usize::try_from(MAX_IMAGE_SIZE.get()).unwrap_or(0) << 10
    }

    /// 256 million: more than the 200 megapixels of the largest camera in a phone. Kinds that take little memory (JPEG
    /// in one scan, PNG without interlacing) take little at this size too; for others the memory limit applies.
    static MAX_IMAGE_PIXELS: Integer = integer(c"pinterest.max_image_pixels", 256_000_000, 100_000..=1_000_000_000, PLAIN,
        c"Maximum width times height of an image; a larger one is not decoded.",
        c"A reload restarts the embedder.",
    );

    /// Maximum width times height of an image.
    pub fn max_image_pixels() -> i32 {
        MAX_IMAGE_PIXELS.get()
    }

    /// 65,500: the maximum of JPEG decoders.
    static MAX_IMAGE_SIDE: Integer = integer(c"pinterest.max_image_side", 65_500, 256..=1_000_000, PLAIN,
        c"Maximum width and maximum height of an image in pixels; a larger one is not decoded.",
        c"A reload restarts the embedder.",
    );

    /// Maximum width and maximum height of an image in pixels.
    pub fn max_image_side() -> i32 {
        MAX_IMAGE_SIDE.get()
    }

    /// first_frame: what a person sees before an image moves, and what Pillow opens, so that a board's GIFs are not
    /// lost.
    static ANIMATED_IMAGES: Setting<AnimatedImages> = choice(c"pinterest.animated_images", AnimatedImages::FirstFrame, Change::OnReload,
        c"Treatment of images with several frames: first_frame or skip.",
        c"first_frame: the first frame is embedded. skip: an import skips them, other calls refuse them. Existing embeddings stay.",
    );

    /// Treatment of images with several frames, as sent to the embedder with each image.
    pub fn animated_images() -> embedder::Animations {
        match ANIMATED_IMAGES.get() {
            AnimatedImages::FirstFrame => embedder::Animations::FirstFrame,
            AnimatedImages::Skip => embedder::Animations::Refuse,
        }
    }

    /// smallest_sufficient: its vectors are nearly those of the largest size, for a quarter of the time to decode and
    /// of the bytes to download. docs/performance.md has the figures, and the tests `sizes` of the crate `clip` the bounds.
    static IMAGE_SIZE: Setting<ImageSize> = choice(c"pinterest.image_size", ImageSize::SmallestSufficient, Change::OnReload,
        c"Size of an image that an import downloads first: smallest_sufficient or largest.",
        c"smallest_sufficient: the smallest whose shorter side has at least 448 pixels. If a size cannot be downloaded, the next one is. Existing embeddings stay.",
    );

    /// The order in which the sizes of an image are downloaded.
    pub fn ladder() -> Ladder {
        match IMAGE_SIZE.get() {
            ImageSize::SmallestSufficient => Ladder::SmallestSufficient,
            ImageSize::Largest => Ladder::Largest,
        }
    }
}

/// Which copies of a database send no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum CloneFence {
    /// None: every copy sends requests.
    #[name = c"off"]
    Off,
    /// Those with another system identifier or database oid: a restored dump, a logical subscriber.
    #[name = c"on"]
    On,
    /// Those on another host or in another data directory as well: a physical copy, a promoted standby.
    #[name = c"strict"]
    Strict,
}

/// The precision that the embedder computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum ClipPrecision {
    /// bf16 on x86-64 with AVX2, otherwise f32.
    #[name = c"auto"]
    Auto,
    /// As the reference does.
    #[name = c"f32"]
    F32,
    /// Weights and activations rounded to bfloat16.
    #[name = c"bf16"]
    Bf16,
    /// Weights and activations as 8-bit integers.
    #[name = c"int8"]
    Int8,
}

impl ClipPrecision {
    /// The name, as on the embedder's command line.
    pub fn name(self) -> &'static str {
        match self {
            ClipPrecision::Auto => "auto",
            ClipPrecision::F32 => "f32",
            ClipPrecision::Bf16 => "bf16",
            ClipPrecision::Int8 => "int8",
        }
    }
}

/// Treatment of images with several frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum AnimatedImages {
    /// The first frame is embedded.
    #[name = c"first_frame"]
    FirstFrame,
    /// They are not embedded.
    #[name = c"skip"]
    Skip,
}

/// The size of an image that is downloaded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum ImageSize {
    /// The smallest that is enough for the model.
    #[name = c"smallest_sufficient"]
    SmallestSufficient,
    /// The largest.
    #[name = c"largest"]
    Largest,
}

fn reserve_prefix() {
    // SAFETY: a constant string, called from _PG_init.
    unsafe { pgrx::pg_sys::MarkGUCPrefixReserved(c"pinterest".as_ptr()) };
}

impl Text {
    fn string(&self) -> String {
        self.get().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// `None` if it is empty.
    fn path(&self) -> Option<PathBuf> {
        Some(self.string()).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

impl Integer {
    /// `None` if it is 0.
    fn seconds(&self) -> Option<Duration> {
        u64::try_from(self.get()).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)
    }
}

fn host(setting: &Text, value: &str) -> Result<Host, Failure> {
    value.trim().parse().map_err(|error| {
        let name = setting.name.to_string_lossy();
        Failure::new(Kind::Config, format!("{name} is not a host name with an optional port: {error}"))
            .with_hint("Write it without https:// and without a path, for example api.pinterest.com.")
    })
}

fn hosts(setting: &Text) -> Result<Vec<Host>, Failure> {
    setting.string().split(',').filter(|part| !part.trim().is_empty()).map(|part| host(setting, part)).collect()
}
