//! The little that routing needs to know of an event.

use super::InputError;
use super::error::{InField, Read};
use super::scan::Scanner;
use super::values;
use std::borrow::Cow;

/// What an event is called and whose it is: enough to choose its partition and to answer for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The sender's id of the event.
    pub id: Option<Cow<'a, str>>,
    /// The device.
    pub device: Option<Cow<'a, str>>,
    /// The user.
    pub user: Option<Cow<'a, str>>,
    /// The order of a purchase, or the one a refund names.
    pub order_id: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// What the event is partitioned by: the device, else the user, else the order, else the event id; `None` where it has none of
    /// them.
    pub fn routing_key(&self) -> Option<&str> {
        self.device.as_deref().or(self.user.as_deref()).or(self.order_id.as_deref()).or(self.id.as_deref())
    }
}

/// Longest id, as in the catalogue.
const MAX_ID_BYTES: usize = 128;

/// Reads the envelope of one event. The rest is only checked for being JSON; a missing id is not an error here.
pub fn parse_envelope(payload: &[u8]) -> Result<Envelope<'_>, InputError> {
    let mut scanner = Scanner::new(payload)?;
    read(&mut scanner).map_err(|error| *error)
}

fn read<'a>(scanner: &mut Scanner<'a>) -> Read<Envelope<'a>> {
    let mut envelope = Envelope::default();
    scanner.begin_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        match &*key {
            "id" => envelope.id = values::string(scanner, MAX_ID_BYTES).in_field("id")?,
            "device" => envelope.device = values::string(scanner, MAX_ID_BYTES).in_field("device")?,
            "user" => envelope.user = values::string(scanner, MAX_ID_BYTES).in_field("user")?,
            "order" => read_order_id(scanner, "id", &mut envelope.order_id).in_field("order.id")?,
            "refund" => read_order_id(scanner, "order_id", &mut envelope.order_id).in_field("refund.order_id")?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    Ok(envelope)
}

/// Takes the order id from a group; a group that has none leaves what another one said.
fn read_order_id<'a>(scanner: &mut Scanner<'a>, name: &str, order_id: &mut Option<Cow<'a, str>>) -> Read<()> {
    if scanner.null()? {
        return Ok(());
    }
    scanner.begin_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        if key == name {
            *order_id = values::string(scanner, MAX_ID_BYTES)?.or(order_id.take());
        } else {
            scanner.skip()?;
        }
    }
    Ok(())
}
