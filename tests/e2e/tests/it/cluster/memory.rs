//! Arguments of any size in a session with little memory: a failed allocation is an ERROR. By default, Rust would end
//! the process, and the server would then end all sessions.

use std::fs;

const MEGABYTE: u64 = 1 << 20;

/// The permitted results of a call with an excessive argument.
enum Ends {
    /// A result, or a lack of memory.
    Well,
    /// A refusal of the argument's size, or a lack of memory.
    Refused,
    /// The beginning of the text counts: a result, a refusal of a blank or long text, or a lack of memory.
    Begun,
}
use Ends::{Begun, Refused, Well};

use crate::support::prelude::*;

const CALLS: &[(Ends, &str)] = &[
    // 24 MB of small arrays, which are not shown. They once took 2.2 GB.
    (Well, "SELECT length(pinterest_gallery(rows => ('[{\"t\":1,\"a\":[' || repeat('[],', 8000000) || '1]}]')::json))"),
    (Well, "SELECT length(pinterest_gallery(rows => ('[{\"because\":[' || repeat('{},', 8000000) || '{}]}]')::json))"),
    (Well, "SELECT length(pinterest_gallery(rows => ('[' || repeat('{},', 8000000) || '{}]')::json))"),
    (Well, "SELECT length(pinterest_gallery(rows => ('[{' || repeat('\"score\":1,', 2000000) || '\"a\":1}]')::json))"),
    (
        Well,
        "SELECT length(pinterest_gallery(rows => ('[' || repeat('{\"title\":\"' || repeat('<', 50000) || '\"},', 500) || \
         '{}]')::json))",
    ),
    (Well, "SELECT length(pinterest_gallery(rows => ('[{\"a\":\"' || repeat('\\\\n', 15000000) || '\"}]')::json))"),
    (Well, "SELECT length(pinterest_gallery(rows => ('[{\"' || repeat('\\\\n', 15000000) || '\":1}]')::json))"),
    (
        Well,
        "SELECT length(pinterest_gallery(rows => ('[{\"image\":\"\\\\xffd8ff' || repeat('00', 15000000) || '\"}]')::json))",
    ),
    (Refused, "SELECT pinterest_gallery(rows => (repeat(' ', 140000000) || '[]')::json)"),
    (Refused, "SELECT pinterest_gallery(title => repeat('x', 40000000), rows => '[]')"),
    (Refused, "SELECT pinterest_gallery(repeat('x', 40000000))"),
    (Begun, "SELECT pinterest_embed_text(repeat(' ', 40000000))"),
    (Refused, "SELECT pinterest_embed_texts(array_fill(NULL::text, ARRAY[5000000]))"),
    (Begun, "SELECT pinterest_embed_texts(ARRAY[repeat('x', 40000000)])"),
    (Refused, "SELECT pinterest_embed_image(decode(repeat('00', 70000000), 'hex'))"),
    (Refused, "SELECT pinterest_embed_images(array_fill(NULL::bytea, ARRAY[5000000]))"),
    (Refused, "SELECT pinterest_embed_images(array_fill(decode(repeat('00', 1000000), 'hex'), ARRAY[300]))"),
    (
        Refused,
        "SELECT * FROM pinterest_classify(pinterest_board_embedding('Beach'), array_fill(NULL::text, ARRAY[5000000]))",
    ),
    (Begun, "SELECT * FROM pinterest_classify(pinterest_board_embedding('Beach'), ARRAY[repeat('x', 40000000)])"),
    (Refused, "SELECT * FROM pinterest_board_themes('Beach', labels => array_fill(NULL::text, ARRAY[5000000]))"),
    (Refused, "SELECT * FROM pinterest_board_themes(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_board_embedding(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_board_embedding('Beach', sections => ('[' || repeat('[],', 3000000) || '1]')::jsonb)"),
    (Refused, "SELECT * FROM pinterest_recommend(array_fill('x'::text, ARRAY[3000000]), 'venues')"),
    (
        Refused,
        "SELECT * FROM pinterest_recommend('Beach', 'venues', not_boards => array_fill(NULL::text, ARRAY[5000000]))",
    ),
    (Begun, "SELECT * FROM pinterest_recommend('Beach', 'venues', \"only\" => repeat('x', 40000000))"),
    (Refused, "SELECT * FROM pinterest_recommend('Beach', 'venues', key => repeat('x', 40000000))"),
    (Refused, "SELECT * FROM pinterest_recommend('Beach', 'venues', embedding => repeat('x', 40000000))"),
    (
        Refused,
        "SELECT * FROM pinterest_recommend('Beach', 'venues', contrasts => array_fill(NULL::text, ARRAY[5000000]), \"only\" => 'x')",
    ),
    (Refused, "SELECT * FROM pinterest_recommend('Beach', 'venues', key => 'words')"),
    (Refused, "SELECT pinterest_import_board('Beach', sections => array_fill(NULL::text, ARRAY[5000000]))"),
    (Refused, "SELECT pinterest_import_board(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_track('venues', text => repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_untrack(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_register_app(repeat('x', 40000000), 'a', 'b', 'https://example.com')"),
    (Refused, "SELECT pinterest_register_app('a', 'a', 'b', 'https://example.com', repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_authorize_url(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_connect(repeat('x', 40000000), 'x')"),
    (Refused, "SELECT pinterest_connect('x', repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_store_token(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_store_token('x', scopes => repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_store_token('x', username => repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_store_token('x', app => repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_grant(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_grant('x', repeat('x', 40000000))"),
    (Refused, "SELECT repeat('x', 40000000)::pinterest.role_owner"),
    (Refused, "SELECT pinterest_revoke(repeat('x', 40000000))"),
    (Refused, "SELECT pinterest_reassign(repeat('x', 40000000), 'x')"),
    (Refused, "SELECT pinterest_reassign('x', repeat('x', 40000000))"),
    (Well, "SELECT count(*) FROM pinterest_recommend('Beach', 'venues', k => 1000, explain => true)"),
    (Well, "SELECT count(*) FROM pinterest_duplicates('Beach')"),
    (Well, "SELECT count(*) FROM pinterest_boards_like('Beach')"),
    (Well, "SELECT length(pinterest_gallery('Beach', embed => true))"),
    (Well, "SELECT length(pinterest_export(vectors => true, images => true)::text)"),
];

/// Limits the session's address space to its present size plus this much.
fn confine(world: &World, client: &mut Client, more: u64) -> Result<()> {
    let pid: i32 = client.value("SELECT pg_backend_pid()")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let size =
        status.lines().find_map(|line| line.strip_prefix("VmSize:")).and_then(|rest| rest.split_whitespace().next());
    let kilobytes: u64 = size.unwrap_or_default().parse()?;
    world.cluster.limit_address_space(pid, 1024 * kilobytes + more)
}

/// A session that has made such calls before, so that libraries, caches and threads are in place.
fn warm(world: &World) -> Result<Client> {
    let mut client = world.connect()?;
    // The server may lack the memory to load the JIT library, which is not an error of the extension.
    client.batch_execute(
        "SET jit = off;
         SELECT length(pinterest_gallery('Beach', rows => '[{\"title\": \"a\"}]'));
         SELECT pinterest_embed_text('a barn');
         SELECT count(*) FROM pinterest_recommend('Beach', 'venues', explain => true);
         SELECT count(*) FROM pinterest_duplicates('Beach')",
    )?;
    Ok(client)
}

#[test]
fn a_lack_of_memory_is_an_error_and_not_a_crash() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    let import: i64 = client.value("SELECT pinterest_import_board('Beach', keep_images => 'originals')")?;
    complete(&mut client, import)?;
    client.batch_execute(
        "CREATE TABLE venues (id int PRIMARY KEY, words text, description text, embedding vector(512));
         INSERT INTO venues SELECT n, repeat('word', 10000000), 'd', pinterest_board_embedding('Beach')
           FROM generate_series(1, 3) AS n",
    )?;
    let began: String = client.value("SELECT pg_postmaster_start_time()::text")?;
    let mut memory_was_short = 0;
    for more in [24 * MEGABYTE, 96 * MEGABYTE, 320 * MEGABYTE] {
        let mut session = warm(&world)?;
        let pid: i32 = session.value("SELECT pg_backend_pid()")?;
        confine(&world, &mut session, more)?;
        for (ends, call) in CALLS {
            let code = match session.simple_query(call) {
                Ok(_) => "00000".to_owned(),
                Err(error) => match error.as_db_error() {
                    Some(error) => error.code().code().to_owned(),
                    None => panic!("{call} with {more} bytes: the session ended: {error}"),
                },
            };
            memory_was_short += usize::from(code == "53200");
            let expected: &[&str] = match ends {
                // 53000: no memory for a thread.
                Well => &["00000", "53200", "53000"],
                Refused => &["54000", "42622", "53200", "53000"],
                Begun => &["00000", "22023", "54000", "53200", "53000"],
            };
            assert!(expected.contains(&code.as_str()), "{call} with {more} bytes ended with {code}");
        }
        assert_eq!(session.value::<i32>("SELECT pg_backend_pid()")?, pid);
    }
    assert!(memory_was_short > 10, "only {memory_was_short} calls ran out of memory");
    // A crash of one session would have ended this one.
    let still: i64 = client.value("SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()")?;
    assert_eq!((still, client.value::<String>("SELECT pg_postmaster_start_time()::text")?), (1, began));

    // With more memory: values that are not shown take little more than the argument itself.
    let mut session = warm(&world)?;
    confine(&world, &mut session, 320 * MEGABYTE)?;
    session.query_one(CALLS[0].1, &[])?;
    Ok(())
}
