//! The little that routing needs to know of an event.

use super::InputError;
use super::error::{InField, Read};
use super::scan::Scanner;
use super::{MAX_ID_BYTES, values};
use crate::input_key::InputIdentity;
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
    /// The order of a purchase, or the one that a refund or an offline touch names.
    pub order_id: Option<Cow<'a, str>>,
    /// The shop's refund id.
    pub refund_id: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    /// What the input key is made of.
    pub fn identity(&self) -> InputIdentity<'_> {
        InputIdentity {
            device: self.device.as_deref(),
            user: self.user.as_deref(),
            order: self.order_id.as_deref().or(self.refund_id.as_deref()),
            event: self.id.as_deref(),
        }
    }
}

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
            "order" => read_group(scanner, |scanner, key| match key {
                "id" => replace(&mut envelope.order_id, scanner, "order.id"),
                _ => scanner.skip().map(drop),
            })
            .in_field("order")?,
            "refund" => read_group(scanner, |scanner, key| match key {
                "id" => replace(&mut envelope.refund_id, scanner, "refund.id"),
                "order_id" => replace(&mut envelope.order_id, scanner, "refund.order_id"),
                _ => scanner.skip().map(drop),
            })
            .in_field("refund")?,
            "touch" => read_group(scanner, |scanner, key| match key {
                "order_id" => replace(&mut envelope.order_id, scanner, "touch.order_id"),
                _ => scanner.skip().map(drop),
            })
            .in_field("touch")?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    Ok(envelope)
}

/// Reads an object, or null, key by key.
fn read_group<'a>(scanner: &mut Scanner<'a>, mut read: impl FnMut(&mut Scanner<'a>, &str) -> Read<()>) -> Read<()> {
    if scanner.null()? {
        return Ok(());
    }
    scanner.begin_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        read(scanner, &key)?;
    }
    Ok(())
}

/// Takes an id; where none is given, what was known stays.
fn replace<'a>(id: &mut Option<Cow<'a, str>>, scanner: &mut Scanner<'a>, field: &'static str) -> Read<()> {
    if let Some(given) = values::string(scanner, MAX_ID_BYTES).in_field(field)? {
        *id = Some(given);
    }
    Ok(())
}
