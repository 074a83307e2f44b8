//! The owner of a row: a role, not a name. The Rust side of SQL's type `pinterest.role_owner`, see sql/owner.sql.
//!
//! A value contains the role's oid, which stays the same when the role is renamed and which a later role of the same
//! name does not have, and the name of the role, to be shown after the role has been dropped. Dumps contain names,
//! because oids mean nothing in another cluster; [`notation`] is their syntax. An owner that is not a role of this
//! cluster matches no role.

mod functions;
mod notation;

use std::cmp::Ordering;
use std::ffi::{CStr, CString};

use pgrx::datum::DatumWithOid;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::errors::{Failure, Kind};
use notation::Notation;

const NAME_LENGTH: usize = pg_sys::NAMEDATALEN as usize;
/// Upper limit of a notation in bytes: a name of which each byte is doubled, and a suffix.
const LONGEST_NOTATION: usize = 2 * NAME_LENGTH + 32;

/// `role` is the oid of a role, which may have been dropped since.
const ROLE: u32 = 0;
/// No role of that name existed when the value was read.
const MISSING: u32 = 1;
/// The role had been dropped when the value was written out; `role` is the oid it had.
const DROPPED: u32 = 2;

/// A `pinterest.role_owner`, as stored in a row.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Owner {
    state: u32,
    role: u32,
    /// In the server's encoding, NUL-terminated.
    name: [u8; NAME_LENGTH],
}

/// The INTERNALLENGTH in sql/owner.sql.
const LENGTH: usize = size_of::<Owner>();
const _: () = assert!(LENGTH == 72 && align_of::<Owner>() == 4);

impl Owner {
    /// A role; `None` if no role has that oid.
    pub fn of_role(role: pg_sys::Oid) -> Option<Self> {
        let name = role_name(role)?;
        Some(Owner { state: ROLE, role: role.to_u32(), name: padded(name.to_bytes())? })
    }

    /// The current role.
    pub fn current() -> Self {
        // SAFETY: the current user is a role that exists, or the call raises an ERROR; the result is palloc'ed text.
        let (role, name) = unsafe {
            let role = pg_sys::GetUserId();
            (role, CStr::from_ptr(pg_sys::GetUserNameFromId(role, false)))
        };
        Owner { state: ROLE, role: role.to_u32(), name: padded(name.to_bytes()).unwrap_or([0; NAME_LENGTH]) }
    }

    /// The role of that name, without interpretation of quotes.
    pub fn named(name: &str) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: a NUL-terminated string; a catalog look-up inside a transaction.
        Self::of_role(unsafe { pg_sys::get_role_oid(name.as_ptr(), true) })
    }

    /// Reads the notation. A name without a role is kept as missing, so that a dump can be restored in another cluster.
    ///
    /// # Errors
    ///
    /// The notation is malformed, or the name is too long.
    pub fn parse(text: &[u8]) -> Result<Self, Failure> {
        let malformed = || {
            Failure::new(Kind::BadText, "invalid input syntax for type role_owner")
                .with_hint("Write the name of a role without quotes.")
        };
        let too_long =
            || Failure::new(Kind::NameTooLong, format!("the name of a role must be shorter than {NAME_LENGTH} bytes"));
        // Checked before the text is copied, because it may be 1 GB long.
        if text.len() > LONGEST_NOTATION {
            return Err(too_long());
        }
        let notation = Notation::parse(text).ok_or_else(malformed)?;
        let name = padded(notation.name()).ok_or_else(too_long)?;
        Ok(match notation {
            Notation::Named(text) => {
                let text = CString::new(text).map_err(|_| malformed())?;
                // SAFETY: a NUL-terminated string; a catalog look-up inside a transaction.
                match unsafe { pg_sys::get_role_oid(text.as_ptr(), true) } {
                    pg_sys::InvalidOid => Owner { state: MISSING, role: 0, name },
                    role => Owner { state: ROLE, role: role.to_u32(), name },
                }
            }
            Notation::Missing(_) => Owner { state: MISSING, role: 0, name },
            Notation::Dropped(_, role) => Owner { state: DROPPED, role, name },
        })
    }

    /// The notation, with the role's present name if the owner is a role.
    pub fn print(&self) -> Vec<u8> {
        let name = self.name().to_vec();
        let notation = match self.state {
            MISSING => Notation::Missing(name),
            ROLE => match role_name(self.role()) {
                Some(present) => Notation::Named(present.to_bytes().to_vec()),
                None => Notation::Dropped(name, self.role),
            },
            _ => Notation::Dropped(name, self.role),
        };
        notation.print()
    }

    /// The role's oid, which may be that of a dropped role; `InvalidOid` if the owner has never been a role of this
    /// cluster.
    pub fn role(&self) -> pg_sys::Oid {
        if self.state == ROLE { pg_sys::Oid::from_u32(self.role) } else { pg_sys::InvalidOid }
    }

    /// The values that are shown like this one: a dropped owner is shown the same before and after a dump and restore.
    pub fn shown_alike(&self) -> Vec<Self> {
        let dropped = Owner { state: ROLE, ..*self };
        match self.state {
            DROPPED if !dropped.is_role() => vec![*self, dropped],
            _ => vec![*self],
        }
    }

    /// Is it a present role of this cluster?
    pub fn is_role(&self) -> bool {
        role_name(self.role()).is_some()
    }

    /// Does the role `member` have the rights of this owner? No role has those of an owner that is not a role.
    pub fn gives_rights_to(&self, member: pg_sys::Oid) -> bool {
        // SAFETY: catalog look-ups inside a transaction, of roles that exist.
        self.is_role() && unsafe { pg_sys::has_privs_of_role(member, self.role()) }
    }

    /// As a parameter of a statement.
    pub fn parameter(&self) -> DatumWithOid<'static> {
        let oid = owner_type();
        // SAFETY: a datum made by this type, with this type's oid.
        unsafe { DatumWithOid::new(*self, oid) }
    }

    fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_LENGTH);
        &self.name[..end]
    }

    /// What owners are compared by: the role, or the name if the owner has never been a role.
    fn key(&self) -> (u32, u32, &[u8]) {
        (self.state, self.role, if self.role == 0 { self.name() } else { &[] })
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Owner {}

impl PartialOrd for Owner {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Owner {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.print()))
    }
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Owner({:?})", self.key())
    }
}

/// The name as stored in a row; `None` if it is too long.
fn padded(name: &[u8]) -> Option<[u8; NAME_LENGTH]> {
    let mut padded = [0; NAME_LENGTH];
    padded[..NAME_LENGTH - 1].get_mut(..name.len())?.copy_from_slice(name);
    Some(padded)
}

/// The present name of a role.
fn role_name(role: pg_sys::Oid) -> Option<&'static CStr> {
    if role == pg_sys::InvalidOid {
        return None;
    }
    // SAFETY: a catalog look-up inside a transaction; the result is palloc'ed and copied by the callers at once.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        (!name.is_null()).then(|| CStr::from_ptr(name))
    }
}

/// The oid of `pinterest.role_owner`.
fn owner_type() -> pg_sys::Oid {
    // SAFETY: catalog look-ups inside a transaction; a missing object gives InvalidOid, which SPI refuses.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"pinterest".as_ptr(), true);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as i32,
            pg_sys::Anum_pg_type_oid as i16,
            pg_sys::Datum::from(c"role_owner".as_ptr()),
            pg_sys::Datum::from(schema),
            pg_sys::Datum::from(0_usize),
            pg_sys::Datum::from(0_usize),
        )
    }
}

impl IntoDatum for Owner {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        // SAFETY: LENGTH bytes are allocated with the alignment of palloc, and all of them are written.
        unsafe {
            let copy = pg_sys::palloc(LENGTH).cast::<Owner>();
            copy.write(self);
            Some(pg_sys::Datum::from(copy))
        }
    }

    fn type_oid() -> pg_sys::Oid {
        owner_type()
    }
}

impl FromDatum for Owner {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        let stored = datum.cast_mut_ptr::<Owner>();
        // SAFETY: the caller promises a datum of this type, which has LENGTH bytes. Any bytes are a value.
        (!is_null && !stored.is_null()).then(|| unsafe { stored.read_unaligned() })
    }
}
