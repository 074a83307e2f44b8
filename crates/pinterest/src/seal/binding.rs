//! The binding of a sealed secret to its row.

/// The kind of secret: an access token cannot be opened as a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// An account's access token.
    AccessToken,
    /// An account's refresh token.
    RefreshToken,
    /// The refresh token before the last rotation.
    PreviousRefreshToken,
    /// An app's client secret.
    ClientSecret,
}

impl Purpose {
    /// Part of the format: changing a name makes the secrets sealed under it unreadable.
    fn label(self) -> &'static [u8] {
        match self {
            Self::AccessToken => b"access_token",
            Self::RefreshToken => b"refresh_token",
            Self::PreviousRefreshToken => b"previous_refresh_token",
            Self::ClientSecret => b"client_secret",
        }
    }
}

/// The row and column that a sealed secret belongs to. It can be opened only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The installation's id, which never changes.
    pub installation_id: &'a str,
    /// The kind of secret.
    pub purpose: Purpose,
    /// The account's or app's id.
    pub row: i64,
    /// The row's generation: a secret sealed for an earlier one cannot be opened for the current one.
    pub generation: i64,
}

impl Binding<'_> {
    /// The associated data. Each part is preceded by its length (four bytes, big-endian), so that no two bindings give the
    /// same bytes.
    pub(super) fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(128);
        let parts: [&[u8]; 6] = [
            b"pg_pinterest sealed secret",
            header,
            self.installation_id.as_bytes(),
            self.purpose.label(),
            &self.row.to_be_bytes(),
            &self.generation.to_be_bytes(),
        ];
        for part in parts {
            let length = u32::try_from(part.len()).expect("this is a bug: an installation id of 4 GiB");
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}
