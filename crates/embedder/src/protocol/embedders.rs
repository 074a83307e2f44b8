use super::fields::{Fields, cut, put_string};
use crate::ModelFingerprint;
use crate::error::{Error, Inner};

/// The most members in an answer; further ones are left out.
const MOST: usize = 256;

/// Longest string of a member, in bytes; a longer one is truncated.
const MAX_TEXT: usize = 512;

const STRINGS: usize = 5;

pub(super) const MAX_PAYLOAD: usize = 2 + MOST * (STRINGS * (2 + MAX_TEXT) + 1 + 32 + 3 * 8 + 4 * 4);

/// An embedder to which a server passes requests on, and what it has done since it was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the list of embedders.
    pub name: String,
    /// Its address, if its name is that of a machine.
    pub address: String,
    /// Whether it is used.
    pub state: MemberState,
    /// Why it is not used, in words.
    pub problem: Option<String>,
    /// The fingerprint of its model; `None` if it is not known.
    pub fingerprint: Option<ModelFingerprint>,
    /// The precision of its arithmetic; empty if it is not known.
    pub precision: String,
    /// The code that multiplies matrices; empty if it is not known.
    pub kernels: String,
    /// Images that it has answered.
    pub images: u64,
    /// Texts that it has answered.
    pub texts: u64,
    /// Requests that it did not answer and others got, and connections that failed.
    pub failures: u64,
    /// Requests that it has now.
    pub in_flight: u32,
    /// The most images that it is given at present.
    pub window: u32,
    /// Microseconds of a round trip to it; 0 if it is not known.
    pub round_trip_microseconds: u32,
    /// Recent time per image, in microseconds; 0 before the first.
    pub image_microseconds: u32,
}

impl Member {
    /// Its name, and its address if that says more.
    pub fn place(&self) -> String {
        match self.address.as_str() {
            "" => self.name.clone(),
            address if address == self.name => self.name.clone(),
            address => format!("{} ({address})", self.name),
        }
    }
}

/// Whether an embedder is used. `Display` is the word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MemberState {
    /// It is being connected to.
    Connecting = 0,
    /// It loads its model.
    Loading = 1,
    /// It is used.
    Ready = 2,
    /// It has another model, precision or preprocessing.
    OtherModel = 3,
    /// It cannot be reached, or does not answer.
    Unreachable = 4,
    /// It has no usable model, or has sent wrong answers.
    Failed = 5,
}

impl MemberState {
    const ALL: [Self; 6] =
        [Self::Connecting, Self::Loading, Self::Ready, Self::OtherModel, Self::Unreachable, Self::Failed];
}

impl std::fmt::Display for MemberState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Connecting => "connecting",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::OtherModel => "other model",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        })
    }
}

pub(super) fn put_members(frame: &mut Vec<u8>, members: &[Member]) {
    let members = &members[..members.len().min(MOST)];
    frame.extend_from_slice(&(members.len() as u16).to_le_bytes());
    for member in members {
        let problem = member.problem.as_deref().unwrap_or_default();
        let strings: [&str; STRINGS] = [&member.name, &member.address, problem, &member.precision, &member.kernels];
        strings.iter().for_each(|text| put_string(frame, cut(text, MAX_TEXT)));
        frame.push(member.state as u8);
        frame.extend_from_slice(member.fingerprint.as_ref().map_or(&[0; 32], |known| known.as_bytes()));
        for number in [member.images, member.texts, member.failures] {
            frame.extend_from_slice(&number.to_le_bytes());
        }
        for number in [member.in_flight, member.window, member.round_trip_microseconds, member.image_microseconds] {
            frame.extend_from_slice(&number.to_le_bytes());
        }
    }
}

pub(super) fn take_members(fields: &mut Fields<'_>) -> Result<Vec<Member>, Error> {
    (0..fields.u16()?).map(|_| take_member(fields)).collect()
}

fn take_member(fields: &mut Fields<'_>) -> Result<Member, Error> {
    let [name, address, problem, precision, kernels] =
        [fields.string()?, fields.string()?, fields.string()?, fields.string()?, fields.string()?];
    let state = fields.byte()?;
    let known = MemberState::ALL.into_iter().find(|known| *known as u8 == state);
    Ok(Member {
        name,
        address,
        state: known.ok_or(Inner::MemberStateCode { found: state })?,
        problem: Some(problem).filter(|problem| !problem.is_empty()),
        fingerprint: Some(fields.bytes()?).filter(|bytes| *bytes != [0; 32]).map(ModelFingerprint::from_bytes),
        precision,
        kernels,
        images: fields.u64()?,
        texts: fields.u64()?,
        failures: fields.u64()?,
        in_flight: fields.u32()?,
        window: fields.u32()?,
        round_trip_microseconds: fields.u32()?,
        image_microseconds: fields.u32()?,
    })
}
