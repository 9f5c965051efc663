//! Tumbling and sliding windows.

use super::open::{Open, Pane};
use super::spec::Panes;
use super::time::floor;
use super::{Added, Closed, Window};
use crate::aggregate::Aggregate;

/// Before every time there is.
const NEVER: i64 = i64::MIN / 4;

impl Panes {
    /// Adds an event to its pane, unless all its windows are past taking it; corrects those that are closed.
    pub fn add<A: Aggregate>(
        &self,
        open: &mut Open<A>,
        lateness: i64,
        time: i64,
        empty: &A,
        change: impl FnOnce(&mut A),
    ) -> Added<A> {
        let watermark = open.watermark.unwrap_or(NEVER);
        let start = floor(time, self.pane, self.offset);
        if self.last_end(start) + lateness <= watermark {
            open.late = open.late.saturating_add(1);
            return Added { closed: Vec::new(), late: true };
        }
        let closed_ends: Vec<i64> = self
            .ends(start)
            .take_while(|end| *end <= watermark)
            .filter(|end| end + lateness > watermark)
            .collect();
        let told: Vec<bool> = closed_ends.iter().map(|end| self.holds_any(open, *end)).collect();
        let place = open.panes.partition_point(|pane| pane.start < start);
        if open.panes.get(place).is_none_or(|pane| pane.start != start) {
            open.panes.insert(place, Pane { start, value: empty.clone() });
        }
        if let Some(pane) = open.panes.get_mut(place) {
            change(&mut pane.value);
        }
        let closed = closed_ends.iter().zip(told).filter_map(|(end, told)| {
            let window = Window::of(end - self.size, *end);
            let value = self.value(open, *end)?;
            Some(Closed { window, value, replaces: if told { vec![window] } else { Vec::new() } })
        });
        Added { closed: closed.collect(), late: false }
    }

    /// Closes the windows that end after the watermark before and up to the one now, and drops the panes that no window
    /// needs any more.
    pub fn close<A: Aggregate>(
        &self,
        open: &mut Open<A>,
        lateness: i64,
        before: Option<i64>,
    ) -> Vec<Closed<A>> {
        let Some(watermark) = open.watermark else { return Vec::new() };
        let mut closed = Vec::new();
        let mut after = before.unwrap_or(NEVER);
        while let Some(end) = self.next_end(open, after).filter(|end| *end <= watermark) {
            let window = Window::of(end - self.size, end);
            closed.extend(self.value(open, end).map(|value| Closed { window, value, replaces: Vec::new() }));
            after = end;
        }
        open.panes.retain(|pane| self.last_end(pane.start) + lateness > watermark);
        closed
    }

    /// When the next window closes, else when the oldest pane can be dropped.
    pub fn due<A>(&self, open: &Open<A>, lateness: i64) -> Option<i64> {
        self.next_end(open, open.watermark.unwrap_or(NEVER))
            .or_else(|| open.panes.first().map(|pane| self.last_end(pane.start) + lateness))
    }

    /// The windows that hold `time`, with their values so far.
    pub fn peek<A: Aggregate>(&self, open: &Open<A>, time: i64) -> Vec<(Window, A)> {
        let ends = self.ends(floor(time, self.pane, self.offset));
        ends.filter_map(|end| Some((Window::of(end - self.size, end), self.value(open, end)?))).collect()
    }

    /// The ends of the windows that hold the pane at `start`, ascending.
    fn ends(&self, start: i64) -> impl Iterator<Item = i64> + use<> {
        let (first, slide, last) = (self.end_after(start), self.slide, start + self.size);
        std::iter::successors(Some(first), move |end| Some(end + slide)).take_while(move |end| *end <= last)
    }

    /// The first end of a window that is after `time`.
    fn end_after(&self, time: i64) -> i64 {
        floor(time, self.slide, self.offset + self.size) + self.slide
    }

    /// The end of the last window that holds the pane at `start`.
    fn last_end(&self, start: i64) -> i64 {
        floor(start, self.slide, self.offset) + self.size
    }

    /// The first end after `after` of a window that holds an event.
    fn next_end<A>(&self, open: &Open<A>, after: i64) -> Option<i64> {
        let first = open.panes.first()?.start;
        let end = self.end_after(after.max(first));
        let pane = open.panes.get(open.panes.partition_point(|pane| pane.start < end - self.size))?;
        Some(if pane.start < end { end } else { self.end_after(pane.start) })
    }

    fn panes<'a, A>(&self, open: &'a Open<A>, end: i64) -> &'a [Pane<A>] {
        let from = open.panes.partition_point(|pane| pane.start < end - self.size);
        let to = open.panes.partition_point(|pane| pane.start < end);
        open.panes.get(from..to).unwrap_or_default()
    }

    fn holds_any<A>(&self, open: &Open<A>, end: i64) -> bool {
        !self.panes(open, end).is_empty()
    }

    /// The value of the window that ends at `end`: its panes merged, the earliest first; `None` if it has none.
    fn value<A: Aggregate>(&self, open: &Open<A>, end: i64) -> Option<A> {
        let (first, rest) = self.panes(open, end).split_first()?;
        let mut value = first.value.clone();
        rest.iter().for_each(|pane| value.merge(&pane.value));
        Some(value)
    }
}
