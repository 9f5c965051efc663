//! The way from an engine to the bus and back, as far as it is the same with a key and without one.

/// Those of a bus's methods that are questions, or as good as one: a line of either kind asks them of the bus behind it
/// through its own `plain`. They are written out once here, since the two lines differ in all that matters more.
macro_rules! questions {
    () => {
        fn ensure_stream<'a>(&'a self, spec: &'a StreamSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
            self.plain(self.bus.ensure_stream(spec)).boxed()
        }

        fn ensure_bucket<'a>(&'a self, spec: &'a BucketSpec) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
            self.plain(self.bus.ensure_bucket(spec)).boxed()
        }

        fn stream<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<StreamInfo, BusError>> {
            self.plain(self.bus.stream(name)).boxed()
        }

        fn streams_for<'a>(
            &'a self,
            pattern: &'a Pattern,
        ) -> BoxFuture<'a, Result<Vec<StreamInfo>, BusError>> {
            self.plain(self.bus.streams_for(pattern)).boxed()
        }

        fn prepare<'a>(&'a self, spec: &'a DurableSpec) -> BoxFuture<'a, Result<(), BusError>> {
            self.plain(self.bus.prepare(spec)).boxed()
        }

        fn has_durable<'a>(
            &'a self,
            stream: &'a str,
            durable: &'a str,
        ) -> BoxFuture<'a, Result<bool, BusError>> {
            self.plain(self.bus.has_durable(stream, durable)).boxed()
        }

        fn subscribe<'a>(&'a self, spec: &'a CoreSpec) -> BoxFuture<'a, Result<Box<dyn Intake>, BusError>> {
            self.plain(self.bus.subscribe(spec)).boxed()
        }

        fn publish_core(&self, message: Message) -> BoxFuture<'_, Result<(), BusError>> {
            self.plain(self.bus.publish_core(message)).boxed()
        }

        fn read<'a>(&'a self, spec: &'a ReadSpec) -> BoxFuture<'a, Result<Vec<StoredMessage>, BusError>> {
            self.plain(self.bus.read(spec)).boxed()
        }

        fn last<'a>(
            &'a self,
            stream: &'a str,
            subject: &'a Subject,
        ) -> BoxFuture<'a, Result<Option<StoredMessage>, BusError>> {
            self.plain(self.bus.last(stream, subject)).boxed()
        }

        fn erase<'a>(&'a self, stream: &'a str, sequence: u64) -> BoxFuture<'a, Result<bool, BusError>> {
            self.plain(self.bus.erase(stream, sequence)).boxed()
        }

        fn purge<'a>(
            &'a self,
            stream: &'a str,
            filter: Option<&'a Pattern>,
        ) -> BoxFuture<'a, Result<u64, BusError>> {
            self.plain(self.bus.purge(stream, filter)).boxed()
        }

        fn delete_stream<'a>(&'a self, stream: &'a str) -> BoxFuture<'a, Result<bool, BusError>> {
            self.plain(self.bus.delete_stream(stream)).boxed()
        }

        fn flush(&self) -> BoxFuture<'_, Result<(), BusError>> {
            self.plain(std::future::ready(Ok(()))).boxed()
        }

        fn max_message_bytes(&self) -> usize {
            self.bus.max_message_bytes()
        }

        fn events(&self) -> broadcast::Receiver<BusEvent> {
            self.bus.events()
        }
    };
}

pub(super) use questions;
