use super::*;

#[test]
fn what_is_tried_again_is_in_the_list() {
    let again = [
        Failure::Retry { after: None, reason: String::new() },
        Failure::Exception(String::new()),
        Failure::Migrate { field: String::new(), from: String::new(), reason: String::new() },
        Failure::Trap(String::new()),
        Failure::Exit(1),
        Failure::CpuTime { limit_ms: 1 },
        Failure::WallTime { limit_ms: 1 },
        Failure::Memory { wanted_bytes: 1, limit_mib: 1 },
        Failure::Table { wanted: 1, limit: 1 },
        Failure::Stack,
        Failure::HostCalls { limit: 1 },
        Failure::Log { limit: 1 },
        Failure::Unstorable { index: 0, reason: String::new() },
    ];
    assert!(again.iter().all(|failure| failure.remedy() == Remedy::Retry));
    assert_eq!(again.map(|failure| failure.name()), RETRIED);
    for other in [Failure::Rejected(String::new()), Failure::Engine(String::new())] {
        assert!(other.remedy() != Remedy::Retry && !RETRIED.contains(&other.name()));
    }
}
