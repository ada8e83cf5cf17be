//! The encoding of what a score is made of, on its way to another partition or into a snapshot: Avro's primitives in a fixed order.

use millstream_schemas::avro::{DecodeErrorKind, Reader, write};

use super::Activity;

/// Appends an activity.
pub fn write(out: &mut Vec<u8>, activity: &Activity) {
    write::long(out, activity.first_ms);
    write::long(out, activity.last_ms);
    write::bytes(out, &activity.products.to_le_bytes());
    for count in [activity.orders, activity.events] {
        write::long(out, i64::from(count));
    }
    for count in [
        activity.page_views,
        activity.product_views,
        activity.list_views,
        activity.searches,
        activity.cart_adds,
        activity.cart_removes,
        activity.checkout_steps,
        activity.channels,
    ] {
        write::long(out, i64::from(count));
    }
    for small in [activity.devices, activity.funnel_depth, activity.consent] {
        write::long(out, i64::from(small));
    }
    write::bool(out, activity.is_bot);
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// Where it is damaged.
pub fn read(reader: &mut Reader<'_>) -> Result<Activity, DecodeErrorKind> {
    Ok(Activity {
        first_ms: reader.long()?,
        last_ms: reader.long()?,
        products: u64::from_le_bytes(reader.bytes()?.try_into().map_err(|_| DecodeErrorKind::InvalidId)?),
        orders: small(reader)?,
        events: small(reader)?,
        page_views: small(reader)?,
        product_views: small(reader)?,
        list_views: small(reader)?,
        searches: small(reader)?,
        cart_adds: small(reader)?,
        cart_removes: small(reader)?,
        checkout_steps: small(reader)?,
        channels: small(reader)?,
        devices: small(reader)?,
        funnel_depth: small(reader)?,
        consent: small(reader)?,
        is_bot: reader.bool()?,
    })
}

fn small<T: TryFrom<i64>>(reader: &mut Reader<'_>) -> Result<T, DecodeErrorKind> {
    T::try_from(reader.long()?).map_err(|_| DecodeErrorKind::IntegerOverflow)
}
