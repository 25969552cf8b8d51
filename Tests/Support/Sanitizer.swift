import Glibc

/// Whether scripts/sanitize runs the tests: what a sanitizer keeps for itself is a multiple of a program's own memory.
public enum Sanitizer {
    public static let isOn = getenv("BERTH_SANITIZER") != nil
    /// ThreadSanitizer keeps its books in files of its own, so it cannot live under a limit on their size.
    public static let watchesThreads = getenv("BERTH_SANITIZER").map { String(cString: $0) } == "thread"
}
