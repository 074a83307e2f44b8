//! Every setting with the reason for its default, and typed access to each. No other file sees a raw setting.

use std::ffi::CString;
use std::path::PathBuf;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pinterest::{Endpoints, Host, PrivateHost, Proxy};

use crate::errors::{Failure, Kind};

type Text = GucSetting<Option<CString>>;

/// Pinterest's one API host; the sandbox and Pinterest's own sandbox are reached by naming theirs.
static API_HOST: Text = Text::new(Some(c"api.pinterest.com"));
/// Only ever put into the URL that a browser opens; no request goes there from here.
static AUTHORIZE_HOST: Text = Text::new(Some(c"www.pinterest.com"));
/// A URL in Pinterest's JSON is untrusted: images come from these hosts and no other.
static IMAGE_HOSTS: Text = Text::new(Some(c"i.pinimg.com"));
/// Empty: a URL in a user's table is written by whoever may write there, and the server would fetch it from inside its
/// own network. Which hosts that is worth is the administrator's to say.
static TRACKED_IMAGE_HOSTS: Text = Text::new(Some(c""));
/// Empty: a host in a user's table whose name leads into the server's own network is one that only its DBA can vouch for.
static PRIVATE_IMAGE_HOSTS: Text = Text::new(Some(c""));
/// Empty: requests go straight to their hosts. The environment is not asked: it is the one the server happened to be started in.
static PROXY: Text = Text::new(Some(c""));
/// Empty: the proxy asks for none.
static PROXY_CREDENTIALS_FILE: Text = Text::new(Some(c""));
/// Empty: where there is a proxy, all hosts are reached through it but those of pinterest.private_image_hosts.
static NO_PROXY: Text = Text::new(Some(c""));
/// Empty: the platform's roots alone.
static CA_FILE: Text = Text::new(Some(c""));
/// Empty: a key is made in the data directory on first use, with a WARNING to move it out.
static KEY_FILE: Text = Text::new(Some(c""));
/// Empty: a file is the simpler way; a command is for those whose keys lie in a vault.
static KEY_COMMAND: Text = Text::new(Some(c""));
/// Empty: client secrets are registered by SQL.
static APP_SECRET_FILE: Text = Text::new(Some(c""));
/// on: a restored dump stays quiet by itself, and a failover needs nobody. Only its DBA knows a physical copy from a
/// failover, so what tells them apart has to be asked for.
static CLONE_FENCE: GucSetting<CloneFence> = GucSetting::<CloneFence>::new(CloneFence::On);
/// 0: nothing is deleted unasked. What may be kept is between the operator and Pinterest, see the README.
static RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
/// off: Pinterest's guidelines ask to keep what comes from different people's accounts apart.
static REUSE_ACROSS_ACCOUNTS: GucSetting<bool> = GucSetting::<bool>::new(false);
/// 1: one worker keeps the embedder busy and refreshes thousands of accounts.
static WORKERS_PER_DATABASE: GucSetting<i32> = GucSetting::<i32>::new(1);
/// 1,000: more boards than a person has, and far less than would let one account's queue be felt by others.
static MAX_QUEUED_IMPORTS: GucSetting<i32> = GucSetting::<i32>::new(1000);
/// Empty: nothing is guessed, calls that embed say what to set.
static MODEL_DIR: Text = Text::new(Some(c""));
/// Empty: beside the server's own programs, where `make install` puts it.
static EMBEDDER_PATH: Text = Text::new(Some(c""));
/// auto: the fastest precision whose vectors rank as the reference's do, so bf16 where the processor multiplies it itself
/// (cosine to f32 above 0.9999 at several times the speed), else f32. A cluster of unlike servers, a primary and standbys
/// that may take its place, names one of the two, so that all of them make vectors of one model.
static CLIP_PRECISION: GucSetting<ClipPrecision> = GucSetting::<ClipPrecision>::new(ClipPrecision::Auto);
/// 0: the embedder takes as many threads as there are cores; the server's own work is light beside inference.
static EMBEDDER_THREADS: GucSetting<i32> = GucSetting::<i32>::new(0);
/// Ten minutes: long enough to stay warm between an app's searches, short enough to give its memory back overnight.
static EMBEDDER_IDLE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(600);
/// 64 MB: above what cameras of 100 and telephones of 200 megapixels write, and a download keeps that much in memory.
static MAX_IMAGE_SIZE: GucSetting<i32> = GucSetting::<i32>::new((pinterest::DEFAULT_IMAGE_LIMIT >> 10) as i32);
/// 256 million: above the 200 megapixels of the largest camera in a telephone. What takes little memory by its kind (JPEG in
/// one scan, PNG without interlacing) takes little at this size too; what does not is held to the memory limit.
static MAX_IMAGE_PIXELS: GucSetting<i32> = GucSetting::<i32>::new(256_000_000);
/// 65,500: what decoders of JPEG take at most.
static MAX_IMAGE_SIDE: GucSetting<i32> = GucSetting::<i32>::new(65_500);
/// 4 GB: weights and their load-time copy take 1.3 GB, a large picture a quarter of it, a small one beside it 120 MB.
static EMBEDDER_MEMORY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(4096);
/// A minute: a session of imports keeps its worker; a database at rest has none that could block DROP DATABASE.
static WORKER_IDLE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(60);
/// A second: triggers that keep a search index or an audit trail take milliseconds; a table whose code takes longer than
/// this for each row would keep all others waiting.
static TRACKED_ROW_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(1000);
/// first_frame: what a person sees before a picture moves, and what Pillow opens, so that a board's GIFs are not lost.
static ANIMATED_IMAGES: GucSetting<AnimatedImages> = GucSetting::<AnimatedImages>::new(AnimatedImages::FirstFrame);
/// 8: more parallel downloads lower the success rate at public CDNs instead of raising the speed.
static DOWNLOADS: GucSetting<i32> = GucSetting::<i32>::new(8);

/// What keeps a copy of a database from sending requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum CloneFence {
    /// Nothing.
    #[name = c"off"]
    Off,
    /// Another system identifier or database: a restored dump, a logical subscriber.
    #[name = c"on"]
    On,
    /// Another host or data directory as well: a physical copy, a promoted standby.
    #[name = c"strict"]
    Strict,
}

/// The precision that the embedder computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum ClipPrecision {
    /// bf16 where the processor multiplies it itself, else f32.
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

/// What becomes of images of several frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum AnimatedImages {
    /// The first frame is embedded.
    #[name = c"first_frame"]
    FirstFrame,
    /// They are not embedded.
    #[name = c"skip"]
    Skip,
}

impl ClipPrecision {
    /// As the embedder's command line has it.
    pub fn name(self) -> &'static str {
        match self {
            ClipPrecision::Auto => "auto",
            ClipPrecision::F32 => "f32",
            ClipPrecision::Bf16 => "bf16",
            ClipPrecision::Int8 => "int8",
        }
    }
}

/// Defines the settings and reserves their prefix, so that a mistyped one is refused.
///
/// What decides where a token is sent, or which program runs, can change only at server start. Postgres refuses to
/// define such settings later than that, so without preloading they are SIGHUP: still out of reach of every SQL role.
pub fn define(preloading: bool) {
    let fixed = || if preloading { GucContext::Postmaster } else { GucContext::Sighup };
    let text = |name, short, long, setting: &'static Text, context| {
        GucRegistry::define_string_guc(name, short, long, setting, context, GucFlags::default());
    };
    // Somebody may have written a password into it.
    let discreet = |name, short, long, setting: &'static Text| {
        GucRegistry::define_string_guc(name, short, long, setting, fixed(), GucFlags::SUPERUSER_ONLY);
    };
    let int = |name, short, long, setting: &'static GucSetting<i32>, (low, high), flags| {
        GucRegistry::define_int_guc(name, short, long, setting, low, high, GucContext::Sighup, flags);
    };
    text(
        c"pinterest.api_host",
        c"Host of the Pinterest API, with an optional port.",
        c"Tokens are sent here, over https. Loopback is allowed only when it is named here literally.",
        &API_HOST,
        fixed(),
    );
    text(
        c"pinterest.authorize_host",
        c"Host of Pinterest's authorization page, with an optional port.",
        c"Used in the URL that pinterest_authorize_url() returns.",
        &AUTHORIZE_HOST,
        fixed(),
    );
    text(
        c"pinterest.image_hosts",
        c"Hosts that images may be downloaded from, separated by commas.",
        c"An image URL with any other host is refused.",
        &IMAGE_HOSTS,
        fixed(),
    );
    text(
        c"pinterest.tracked_image_hosts",
        c"Hosts that image URLs in tracked columns may be downloaded from, separated by commas.",
        c"Each with an optional port, over https. A URL with any other host is refused; empty: every one is.",
        &TRACKED_IMAGE_HOSTS,
        fixed(),
    );
    text(
        c"pinterest.private_image_hosts",
        c"Tracked image hosts with addresses of an internal network, as host=range, separated by commas.",
        c"For example minio.internal=10.20.0.0/16. Such a host may have addresses of its ranges and no others.",
        &PRIVATE_IMAGE_HOSTS,
        fixed(),
    );
    discreet(
        c"pinterest.proxy",
        c"HTTP proxy that requests go through, as http://host:port or https://host:port.",
        c"Connections are opened by CONNECT and are https from end to end. Hosts of pinterest.private_image_hosts are reached without it.",
        &PROXY,
    );
    discreet(
        c"pinterest.proxy_credentials_file",
        c"File with the user and password for the proxy, as user:password on one line.",
        c"Kept as safely as the key file. It is read again when it has changed.",
        &PROXY_CREDENTIALS_FILE,
    );
    text(
        c"pinterest.no_proxy",
        c"Hosts that are reached without pinterest.proxy, separated by commas.",
        c"Each with its port as the other settings name it.",
        &NO_PROXY,
        fixed(),
    );
    text(
        c"pinterest.ca_file",
        c"PEM file of certificate authorities trusted beside the platform's.",
        c"",
        &CA_FILE,
        fixed(),
    );
    text(
        c"pinterest.key_file",
        c"File with the keys that seal tokens, one a line, the first one active.",
        c"Regular file, owned by the server's user or root, no rights for others. Empty: a key is made in the data directory.",
        &KEY_FILE,
        fixed(),
    );
    text(
        c"pinterest.key_command",
        c"Shell command that prints the keys that seal tokens, instead of pinterest.key_file.",
        c"Run by each process that needs the keys, within 10 seconds.",
        &KEY_COMMAND,
        fixed(),
    );
    text(
        c"pinterest.app_secret_file",
        c"File with client secrets of apps, a client id and its secret on each line.",
        c"For apps registered without a secret. Kept as safely as the key file.",
        &APP_SECRET_FILE,
        fixed(),
    );
    GucRegistry::define_enum_guc(
        c"pinterest.clone_fence",
        c"What keeps a copy of the database from sending requests until pinterest_adopt(): off, on or strict.",
        c"on: a restored dump and a logical subscriber. strict: also another host or data directory, so a promoted standby too.",
        &CLONE_FENCE,
        fixed(),
        GucFlags::default(),
    );
    text(
        c"pinterest.model_dir",
        c"Directory of the CLIP ViT-B/32 model (config.json, model.safetensors).",
        c"Made by pgvector_setup/clip-weights.",
        &MODEL_DIR,
        fixed(),
    );
    text(
        c"pinterest.embedder_path",
        c"Path of the program pinterest-embedder.",
        c"Empty: beside the server's programs.",
        &EMBEDDER_PATH,
        fixed(),
    );
    // Changed by a reload, which is safe: what one precision embedded is never mixed with another's, see pinterest.model.
    GucRegistry::define_enum_guc(
        c"pinterest.clip_precision",
        c"Precision that the embedder computes in: auto, f32, bf16 or int8.",
        c"auto: bf16 where the processor multiplies it itself, else f32. int8 is the fastest and not validated on trained weights. Each makes vectors of its own model; a reload starts the embedder anew.",
        &CLIP_PRECISION,
        GucContext::Sighup,
        GucFlags::default(),
    );
    // For all of a worker's work alike: a trigger of a tracked table runs in its session, and must not change it for others.
    GucRegistry::define_enum_guc(
        c"pinterest.animated_images",
        c"What becomes of images of several frames: first_frame or skip.",
        c"first_frame: the first one is embedded. skip: an import skips them, other calls refuse them. What is embedded already stays.",
        &ANIMATED_IMAGES,
        GucContext::Sighup,
        GucFlags::default(),
    );
    int(
        c"pinterest.tracked_row_timeout",
        c"Time that triggers, policies and other code of a tracked table may take for one row.",
        c"A tracking worker that takes longer ends, and another one starts.",
        &TRACKED_ROW_TIMEOUT,
        (10, 60_000),
        GucFlags::UNIT_MS,
    );
    int(
        c"pinterest.embedder_threads",
        c"Threads of the embedder; 0 for one per core.",
        c"A reload starts the embedder anew.",
        &EMBEDDER_THREADS,
        (0, 256),
        GucFlags::default(),
    );
    int(
        c"pinterest.embedder_idle_timeout",
        c"The embedder ends and gives its memory back after this time without a request; 0 keeps it.",
        c"The next request starts it again, as does a reload that changes this.",
        &EMBEDDER_IDLE_TIMEOUT,
        (0, 86_400),
        GucFlags::UNIT_S,
    );
    int(
        c"pinterest.embedder_memory_limit",
        c"Address space that the embedder may take; 0 for no limit.",
        c"A quarter of it is for decoding one large image; one that needs more is refused. A reload starts the embedder anew.",
        &EMBEDDER_MEMORY_LIMIT,
        (0, 1 << 20),
        GucFlags::UNIT_MB,
    );
    // They decide what of a stranger's bytes is worked on, for imports, tracked columns and calls alike.
    int(
        c"pinterest.max_image_size",
        c"Bytes of an image at most; a larger one is not downloaded to its end and not embedded.",
        c"A reload starts the embedder anew.",
        &MAX_IMAGE_SIZE,
        (64, 256 << 10),
        GucFlags::UNIT_KB,
    );
    int(
        c"pinterest.max_image_pixels",
        c"Width times height of an image at most; a larger one is not decoded.",
        c"A reload starts the embedder anew.",
        &MAX_IMAGE_PIXELS,
        (100_000, 1_000_000_000),
        GucFlags::default(),
    );
    int(
        c"pinterest.max_image_side",
        c"Width, and height, of an image in pixels at most; a larger one is not decoded.",
        c"A reload starts the embedder anew.",
        &MAX_IMAGE_SIDE,
        (256, 1_000_000),
        GucFlags::default(),
    );
    int(
        c"pinterest.worker_idle_timeout",
        c"A database's worker disconnects after this time without work.",
        c"The next call that needs it starts it again.",
        &WORKER_IDLE_TIMEOUT,
        (1, 86_400),
        GucFlags::UNIT_S,
    );
    int(
        c"pinterest.workers_per_database",
        c"Workers that serve one database at the same time.",
        c"More than one is of use only where many accounts import at the same time and cores are idle.",
        &WORKERS_PER_DATABASE,
        (1, 8),
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"pinterest.reuse_across_accounts",
        c"An image that any account has an embedding of is neither downloaded nor embedded again.",
        c"Off: within one account only.",
        &REUSE_ACROSS_ACCOUNTS,
        GucContext::Sighup,
        GucFlags::default(),
    );
    int(
        c"pinterest.retention",
        c"Pins, images, vectors and finished imports are deleted when they were imported longer ago than this; 0 keeps them.",
        c"The age of a pin counts from the last import that found it on its board, that of a removed pin from the import that found it gone. Boards and their settings stay.",
        &RETENTION,
        (0, i32::MAX),
        GucFlags::UNIT_MIN,
    );
    int(
        c"pinterest.max_queued_imports",
        c"Imports of one account that may wait or be under way at the same time.",
        c"A call that would queue one more is refused. Imports that sync_every queues are counted, but never refused.",
        &MAX_QUEUED_IMPORTS,
        (1, 1_000_000),
        GucFlags::default(),
    );
    int(
        c"pinterest.parallel_downloads",
        c"Images downloaded at the same time for one import.",
        c"",
        &DOWNLOADS,
        (1, 16),
        GucFlags::default(),
    );
    reserve_prefix();
}

#[cfg(feature = "pg14")]
fn reserve_prefix() {
    // SAFETY: a constant string, called from _PG_init.
    #[allow(unsafe_code)]
    unsafe {
        pgrx::pg_sys::EmitWarningsOnPlaceholders(c"pinterest".as_ptr());
    }
}

#[cfg(not(feature = "pg14"))]
fn reserve_prefix() {
    // SAFETY: a constant string, called from _PG_init.
    #[allow(unsafe_code)]
    unsafe {
        pgrx::pg_sys::MarkGUCPrefixReserved(c"pinterest".as_ptr());
    }
}

fn string(setting: &Text) -> String {
    setting.get().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

fn path(setting: &Text) -> Option<PathBuf> {
    let value = string(setting);
    (!value.is_empty()).then(|| PathBuf::from(value))
}

fn host(name: &str, value: &str) -> Result<Host, Failure> {
    value.trim().parse().map_err(|error| {
        Failure::new(Kind::Config, format!("{name} is not a host name with an optional port: {error}"))
            .with_hint("Write it without https:// and without a path, for example api.pinterest.com.")
    })
}

fn hosts(name: &str, setting: &Text) -> Result<Vec<Host>, Failure> {
    string(setting).split(',').filter(|part| !part.trim().is_empty()).map(|part| host(name, part)).collect()
}

/// The hosts that requests may go to, and the extra certificate authorities.
pub fn endpoints() -> Result<Endpoints, Failure> {
    let images = hosts("pinterest.image_hosts", &IMAGE_HOSTS)?;
    Ok(Endpoints {
        api: host("pinterest.api_host", &string(&API_HOST))?,
        authorize: host("pinterest.authorize_host", &string(&AUTHORIZE_HOST))?,
        images,
        private_images: Vec::new(),
        proxy: proxy()?,
        ca_file: path(&CA_FILE),
    })
}

fn proxy() -> Result<Option<Proxy>, Failure> {
    let address = string(&PROXY);
    let address = address.trim();
    if address.is_empty() {
        return Ok(None);
    }
    let address = address.parse().map_err(|error| {
        Failure::new(Kind::Config, format!("pinterest.proxy cannot be read: {error}"))
            .with_hint("Write it for example as http://proxy.internal:3128, and a user and password into the file that pinterest.proxy_credentials_file names.")
    })?;
    let bypass = hosts("pinterest.no_proxy", &NO_PROXY)?;
    Ok(Some(Proxy { address, credentials_file: path(&PROXY_CREDENTIALS_FILE), bypass }))
}

/// The same for the image URLs of tracked columns: their own hosts, and nothing that a token is sent with.
pub fn tracked_endpoints() -> Result<Endpoints, Failure> {
    Ok(Endpoints {
        images: hosts("pinterest.tracked_image_hosts", &TRACKED_IMAGE_HOSTS)?,
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
    string(&PRIVATE_IMAGE_HOSTS).split(',').filter(|pair| !pair.trim().is_empty()).map(read).collect()
}

/// The configured key file, if any.
pub fn key_file() -> Option<PathBuf> {
    path(&KEY_FILE)
}

/// The command that prints the keys, if any.
pub fn key_command() -> Option<String> {
    Some(string(&KEY_COMMAND)).filter(|command| !command.is_empty())
}

/// The file with client secrets, if any.
pub fn app_secret_file() -> Option<PathBuf> {
    path(&APP_SECRET_FILE)
}

/// What keeps a copy of a database quiet.
pub fn clone_fence() -> CloneFence {
    CLONE_FENCE.get()
}

/// How long imported rows live; `None` for ever.
pub fn retention() -> Option<Duration> {
    seconds(&RETENTION).map(|minutes| minutes * 60)
}

/// May embeddings be copied from one account's images to another's?
pub fn reuse_across_accounts() -> bool {
    REUSE_ACROSS_ACCOUNTS.get()
}

/// Workers that serve one database.
pub fn workers_per_database() -> usize {
    usize::try_from(WORKERS_PER_DATABASE.get()).unwrap_or(1)
}

/// The model directory, if one is set.
pub fn model_dir() -> Option<PathBuf> {
    path(&MODEL_DIR)
}

/// The model directory, or a refusal that says what to set.
pub fn required_model_dir() -> Result<PathBuf, Failure> {
    model_dir().ok_or_else(|| Failure::new(Kind::ModelMissing, "pinterest.model_dir is not set"))
}

/// The embedding program.
pub fn embedder_path() -> PathBuf {
    path(&EMBEDDER_PATH).unwrap_or_else(|| crate::postgres::platform::server_bindir().join("pinterest-embedder"))
}

/// The precision that the embedder is to compute in.
pub fn clip_precision() -> ClipPrecision {
    CLIP_PRECISION.get()
}

/// What becomes of images of several frames, as the embedder is told with each.
pub fn animated_images() -> embedder::Animations {
    match ANIMATED_IMAGES.get() {
        AnimatedImages::FirstFrame => embedder::Animations::FirstFrame,
        AnimatedImages::Skip => embedder::Animations::Refuse,
    }
}

/// Threads of the embedder; `None` for one per core.
pub fn embedder_threads() -> Option<u32> {
    u32::try_from(EMBEDDER_THREADS.get()).ok().filter(|&threads| threads > 0)
}

/// How long the embedder stays without a request; `None` for ever.
pub fn embedder_idle_timeout() -> Option<Duration> {
    seconds(&EMBEDDER_IDLE_TIMEOUT)
}

/// The embedder's address space in bytes; `None` for no limit.
pub fn embedder_memory_limit() -> Option<u64> {
    u64::try_from(EMBEDDER_MEMORY_LIMIT.get()).ok().filter(|&megabytes| megabytes > 0).map(|megabytes| megabytes << 20)
}

/// Bytes of an image at most.
pub fn max_image_bytes() -> usize {
    usize::try_from(MAX_IMAGE_SIZE.get()).unwrap_or(0) << 10
}

/// Width times height of an image at most.
pub fn max_image_pixels() -> i32 {
    MAX_IMAGE_PIXELS.get()
}

/// Width, and height, of an image in pixels at most.
pub fn max_image_side() -> i32 {
    MAX_IMAGE_SIDE.get()
}

/// How long a database's worker stays without work.
pub fn worker_idle_timeout() -> Duration {
    seconds(&WORKER_IDLE_TIMEOUT).unwrap_or(Duration::from_secs(60))
}

/// Imports of one account that may wait or be under way.
pub fn max_queued_imports() -> i64 {
    i64::from(MAX_QUEUED_IMPORTS.get())
}

/// How long the code of a tracked table's owner may take for one row.
pub fn tracked_row_timeout() -> Duration {
    Duration::from_millis(u64::try_from(TRACKED_ROW_TIMEOUT.get()).unwrap_or(1000))
}

/// Images downloaded at the same time for one import.
pub fn parallel_downloads() -> usize {
    usize::try_from(DOWNLOADS.get()).unwrap_or(1)
}

fn seconds(setting: &GucSetting<i32>) -> Option<Duration> {
    u64::try_from(setting.get()).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)
}
