//! What a sealed secret is bound to.

/// Which secret it is: an access token cannot be opened as a refresh token.
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
    /// Part of the format: a name that changes makes what was sealed under it unreadable.
    fn label(self) -> &'static [u8] {
        match self {
            Self::AccessToken => b"access_token",
            Self::RefreshToken => b"refresh_token",
            Self::PreviousRefreshToken => b"previous_refresh_token",
            Self::ClientSecret => b"client_secret",
        }
    }
}

/// The place a sealed secret belongs to. It opens there and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The installation's own id, which never changes.
    pub installation_id: &'a str,
    /// Which secret.
    pub purpose: Purpose,
    /// The account's or app's id.
    pub row: i64,
    /// Counts the writes of the row; what was sealed for an earlier one does not open as the present one.
    pub generation: i64,
}

impl Binding<'_> {
    /// The associated data. Every part has its length before it (four bytes, big-endian), so that no two bindings
    /// give the same bytes.
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
