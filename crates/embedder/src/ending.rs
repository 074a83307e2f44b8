use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a process ended, in words for a log: `was ended by signal 9`, `ended with status 1`.
pub fn describe_end(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (_, Some(signal)) => format!("was ended by signal {signal}"),
        (Some(code), _) => format!("ended with status {code}"),
        _ => "ended".to_owned(),
    }
}
