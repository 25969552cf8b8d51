import Glibc

/// Whether scripts/sanitize runs the tests: what a sanitizer keeps for itself is a multiple of a program's own memory.
public enum Sanitizer {
    public static let isOn = getenv("BERTH_SANITIZER") != nil
}
