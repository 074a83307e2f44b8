use std::os::unix::fs::PermissionsExt;

use super::*;

fn private_directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn listen(path: &Path) -> io::Result<Endpoint> {
    Listen::Path(path.to_owned()).open()
}

#[test]
fn the_socket_is_private_and_goes_with_its_owner() {
    let directory = private_directory();
    let path = directory.path().join("socket");
    let endpoint = listen(&path).unwrap();
    let mode = fs::symlink_metadata(&path).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(endpoint);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
    let directory = private_directory();
    let path = directory.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let _endpoint = listen(&path).unwrap();
    let error = listen(&path).err().unwrap().to_string();
    assert!(error.contains("another process listens"), "{error}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn an_existing_file_is_not_replaced_by_a_socket() {
    let directory = private_directory();
    let path = directory.path().join("socket");
    fs::write(&path, "precious").unwrap();
    assert!(listen(&path).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_socket_that_replaced_ours_is_not_removed() {
    let directory = private_directory();
    let path = directory.path().join("socket");
    let endpoint = listen(&path).unwrap();
    fs::rename(&path, directory.path().join("aside")).unwrap();
    let _theirs = UnixListener::bind(&path).unwrap();
    drop(endpoint);
    assert!(path.exists());
}

#[test]
fn a_directory_others_can_write_is_refused() {
    let directory = private_directory();
    for mode in [0o777, 0o1777, 0o770, 0o702] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = listen(&directory.path().join("socket")).err().unwrap().to_string();
        assert!(error.contains(&format!("{mode:04o}")), "{error}");
    }
}
