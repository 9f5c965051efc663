//! The SDK's own tests: `zig test tests.zig`.

test {
    _ = @import("arena.zig");
    _ = @import("json_test.zig");
    _ = @import("text.zig");
    _ = @import("wasmill_test.zig");
    _ = @import("wire.zig");
}
