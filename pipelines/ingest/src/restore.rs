//! An event that was accepted before and comes back from the warehouse, where the log has lost it.
//!
//! It was parsed, classified and stripped of what may not be kept; what is done again is what later events depend on: ids seen, what the
//! visitor allows, whose the device is. Of the consent that was said there is what came of it, so that a visitor who said more than
//! necessary to some purposes only is taken to have said the narrower of both. What was dropped for want of consent is not in the
//! warehouse, a logout among it.

use millstream_runtime::Outputs;
use millstream_schemas::input::{EventType, InputError, Reason};
use millstream_schemas::{Event, Id};
use millstream_transports::RecordRef;

use crate::accept::{act, write};
use crate::dedup::Dedup;
use crate::emit::Emitter;
use crate::factory::Shared;
use crate::fates::Fate;
use crate::identity::{Identities, Subject};
use crate::reject::whole;

/// Writes the event anew, under the person that its source has here.
pub fn restore(
    shared: &Shared,
    dedup: &mut Dedup,
    identities: &mut Identities,
    record: RecordRef<'_>,
    accepted: &Event<'_>,
    out: &mut Outputs,
) -> Result<Fate, InputError> {
    let event_type = EventType::parse(accepted.event_type).ok_or_else(|| {
        whole(Reason::UnknownEventType, format!("{:?} is no type of this version", accepted.event_type))
    })?;
    let (site, is_import) = (accepted.site, accepted.origin == "import");
    if !is_import && !dedup.insert(Id::of(&[site.as_bytes(), accepted.event_id.as_bytes()]).0) {
        return Ok(Fate::Duplicate);
    }
    let subject = match (accepted.device_id, accepted.user_id) {
        (Some(device), user) => Some(Subject::Device { device, user }),
        (None, Some(user)) => Some(Subject::User(user)),
        (None, None) => None,
    };
    let known = subject.map(|subject| (subject, Identities::key(site, subject)));
    if let (EventType::Consent, Some((_, key))) = (event_type, known) {
        identities.set_consent(key, accepted.consent);
    }
    // One that was nobody's then (it may not be, or has no identity) is nobody's now.
    let known = known.filter(|_| accepted.source.is_some());
    let assignment = known.map(|(subject, key)| identities.assign(site, key, subject, act(event_type)));
    let revision = i64::try_from(record.offset).unwrap_or(i64::MAX);
    let mut event = Event { revision, source: None, person: None, person_user_id: None, ..accepted.clone() };
    write(&mut Emitter { shared, record, out }, &mut event, assignment.as_ref(), event_type);
    Ok(Fate::Accepted)
}
