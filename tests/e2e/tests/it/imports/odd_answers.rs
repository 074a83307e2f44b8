//! Answers whose body contradicts their status, or is empty: the request is retried if that may help, and neither the
//! import nor the account fails.

use serde_json::json;

use crate::support::oauth::{arrived, status};
use crate::support::prelude::*;

#[test]
fn answers_of_intermediaries_are_retried() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let failure = |body| Fault::JsonAnswer { status: 200, body };
    for (fault, times) in [
        (Fault::HtmlAnswer { status: 403 }, 1),
        (Fault::EmptyAnswer { status: 403 }, 1),
        (Fault::HtmlAnswer { status: 400 }, 1),
        (Fault::EmptyAnswer { status: 200 }, 1),
        (failure(json!({"code": 12, "message": "Something went wrong", "status": "failure"})), 1),
        (failure(json!({"code": 8, "message": "You have exceeded your rate limit"})), 1),
        (failure(json!({"code": "2", "message": "Authentication failed.", "status": "failure"})), 1),
        // The token is refreshed once, and the request is refused again.
        (Fault::HtmlAnswer { status: 401 }, 2),
        (Fault::EmptyAnswer { status: 401 }, 2),
        (Fault::JsonAnswer { status: 401, body: json!({"code": "2", "message": "Authentication failed."}) }, 1),
    ] {
        let case = format!("{fault:?}");
        let rule = world.sandbox.faults().add(Rule::on(Kind::BoardPins, fault).times(times));
        import(&mut client, "Beach")?;
        assert_eq!(world.sandbox.faults().fired(rule), times, "{case}");
        assert_eq!(status(&mut client)?, "connected", "{case}");
        let removed = "SELECT count(*) FROM pinterest.pin WHERE removed_at IS NOT NULL";
        assert_eq!(client.value::<i64>(removed)?, 0, "{case}");
        client.batch_execute("SELECT FROM pinterest_purge_board('Beach')")?;
    }
    Ok(())
}

/// Pinterest's own refusal of fresh tokens still counts.
#[test]
fn only_pinterests_own_refusal_requires_the_user() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let before = arrived(&world);
    let rule = world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::EmptyAnswer { status: 401 }));
    let import = queue_board(&mut client, "Beach")?;
    let row = until_row(&mut client, import, "the refusal", |row| !row.reason.is_empty())?;
    assert_eq!((row.state.as_str(), row.error_code.as_str()), ("queued", "08006"), "{row:?}");
    assert_eq!(arrived(&world) - before, 1, "refreshed once");
    assert_eq!(status(&mut client)?, "connected");
    world.sandbox.faults().remove(rule);
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::AuthenticationFailed).times(2));
    until_row(&mut client, import, "needs_reauth", |row| row.state == "needs_reauth")?;
    world.connect_account(&mut client)?;
    complete(&mut client, import)?;
    Ok(())
}
