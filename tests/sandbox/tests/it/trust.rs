//! Certificates, ports and configurations.

use sandbox::config::Certificate;
use sandbox::{Config, Sandbox};

use crate::client::Client;

fn start(certificate: Certificate) -> Sandbox {
    Sandbox::start(Config { certificate, ..Config::demo() }).expect("a sandbox")
}

#[test]
fn only_the_valid_certificate_is_trusted() {
    assert!(Client::new(&start(Certificate::Valid)).try_get("/").is_ok());
    for wrong in [Certificate::Expired, Certificate::WrongHost, Certificate::SelfSigned] {
        let sandbox = start(wrong);
        assert!(Client::new(&sandbox).try_get("/").is_err(), "{wrong:?}");
        assert_eq!(sandbox.requests().total(), 0, "{wrong:?}: nothing was asked");
    }
}

#[test]
fn each_sandbox_has_its_own_authority() {
    let (one, two) = (start(Certificate::Valid), start(Certificate::Valid));
    assert!(Client::trusting(one.port(), two.ca_file()).try_get("/").is_err());
}

#[test]
fn a_stopped_sandbox_does_not_answer() {
    let sandbox = start(Certificate::Valid);
    let (client, ca_file) = (Client::new(&sandbox), sandbox.ca_file().to_path_buf());
    sandbox.stop();
    assert!(client.try_get("/").is_err());
    assert!(!ca_file.exists());
}

#[test]
fn a_used_port_is_an_error() {
    let sandbox = start(Certificate::Valid);
    let error = Sandbox::start(Config { port: sandbox.port(), ..Config::demo() }).expect_err("taken");
    assert!(error.to_string().contains(&sandbox.port().to_string()), "{error}");
}

#[test]
fn invalid_configurations_are_refused() {
    use sandbox::config::{BoardSpec, FormatMix, MediaMix};
    let board = |board: BoardSpec| {
        let mut config = Config::demo();
        config.accounts[0].boards = vec![board];
        config
    };
    let barn = || BoardSpec::new("Board", &[sandbox::Family::Barn], 1);
    let mut without_accounts = Config::demo();
    without_accounts.accounts.clear();
    let mut twins = Config::demo();
    twins.accounts.push(twins.accounts[0].clone());
    for wrong in [
        without_accounts,
        twins,
        board(BoardSpec::new("Board", &[], 1)),
        board(barn().media(MediaMix { video: 60, multiple_images: 41, ..MediaMix::images_only() })),
        board(barn().formats(FormatMix { png: 100, webp: 1 })),
    ] {
        let error = Sandbox::start(wrong).expect_err("impossible");
        assert!(error.to_string().starts_with("invalid configuration"), "{error}");
    }
}
