//! The wall clock, for what people see and ask for.

use chrono::{DateTime, Utc};

pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}
