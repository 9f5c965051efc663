//! What becomes of records when events are to be handled once more, or keys forgotten.

use std::collections::BTreeMap;

use crate::record::{Reached, Record};
use crate::state::KeyState;

/// What is left of a record when its key is forgotten: which events that may be read again were in it. None if there are no
/// such events.
///
/// `rewound` are streams whose events are to be handled once more.
#[must_use]
pub fn remains(record: &Record, cursor: &BTreeMap<String, Reached>, rewound: &[String]) -> Option<Record> {
    let ahead = |stream: &String, reached: &Reached| {
        let behind = cursor.get(stream).is_none_or(|cursor| {
            (cursor.incarnation_ms, cursor.sequence) < (reached.incarnation_ms, reached.sequence)
        });
        behind && !rewound.contains(stream)
    };
    let mut applied = record.applied.clone();
    applied.retain(|stream, reached| ahead(stream, reached));
    // Timers are counted on, so that no two have the same ids.
    let state = KeyState::new([], [], record.state.settings());
    (!applied.is_empty()).then(|| Record { applied, state, outbox: Vec::new(), ..record.clone() })
}

/// A record whose events after a cursor are to be handled once more; none if there are none.
#[must_use]
pub fn rewound(record: &Record, cursor: &BTreeMap<String, Reached>, streams: &[String]) -> Option<Record> {
    let mut applied = record.applied.clone();
    for (stream, reached) in &mut applied {
        if let Some(cursor) = cursor.get(stream).filter(|_| streams.contains(stream))
            && cursor.incarnation_ms == reached.incarnation_ms
        {
            reached.sequence = reached.sequence.min(cursor.sequence);
        }
    }
    let changed = applied != record.applied;
    changed.then(|| Record { applied, outbox: Vec::new(), ..record.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(applied: &[(&str, u64, u64)]) -> Record {
        let mut record = Record { key: "k".into(), ..Record::default() };
        record.state = KeyState::new([("count".into(), bytes::Bytes::from_static(b"1"))], [], 3);
        for (stream, incarnation_ms, sequence) in applied {
            record.apply(stream, Reached { incarnation_ms: *incarnation_ms, sequence: *sequence });
        }
        record
    }

    fn cursor(at: &[(&str, u64, u64)]) -> BTreeMap<String, Reached> {
        record(at).applied
    }

    #[test]
    fn what_may_be_read_again_is_remembered_of_a_forgotten_key() {
        let at = cursor(&[("A", 1, 10), ("B", 1, 10)]);
        let left = |applied: &[(&str, u64, u64)], rewound: &[&str]| {
            let rewound: Vec<_> = rewound.iter().map(|stream| (*stream).to_owned()).collect();
            remains(&record(applied), &at, &rewound).map(|left| {
                assert!(left.state.is_empty() && left.state.settings() == 3);
                left.applied
                    .into_iter()
                    .map(|(stream, reached)| (stream, reached.sequence))
                    .collect::<Vec<_>>()
            })
        };
        let one = |stream: &str, sequence| Some(vec![(stream.to_owned(), sequence)]);
        assert_eq!(left(&[("A", 1, 10), ("B", 1, 3)], &[]), None);
        assert_eq!(left(&[("A", 1, 11), ("B", 1, 3)], &[]), one("A", 11));
        assert_eq!(left(&[("A", 1, 11), ("B", 1, 12)], &["A"]), one("B", 12));
        assert_eq!(left(&[("A", 0, 11)], &[]), None, "of a stream that is gone");
        assert_eq!(left(&[("A", 2, 1)], &[]), one("A", 1), "of one that the cursor does not know yet");
        assert_eq!(left(&[("C", 1, 1)], &[]), one("C", 1));
        assert_eq!(left(&[("C", 1, 1)], &["C"]), None);
    }

    #[test]
    fn a_record_that_is_kept_takes_events_once_more_from_the_cursor_on() {
        let at = cursor(&[("A", 1, 10), ("B", 1, 10)]);
        let streams = ["A".to_owned()];
        assert_eq!(rewound(&record(&[("A", 1, 10), ("B", 1, 30)]), &at, &streams), None);
        let back = rewound(&record(&[("A", 1, 20), ("B", 1, 30)]), &at, &streams).unwrap();
        assert_eq!(back.applied, cursor(&[("A", 1, 10), ("B", 1, 30)]));
        assert_eq!(back.state.fields().len(), 1);
        assert_eq!(rewound(&record(&[("A", 0, 20)]), &at, &streams), None);
    }
}
