import Glibc

/// What scripts/bootstrap keeps between runs.
public enum BerthCache {
    public static let directory: String = {
        if let chosen = getenv("BERTH_CACHE") { return String(cString: chosen) }
        if let caches = getenv("XDG_CACHE_HOME") { return String(cString: caches) + "/berth" }
        return (getenv("HOME").map { String(cString: $0) } ?? "/root") + "/.cache/berth"
    }()

    /// The base root of local sandboxes.
    public static let baseRoot = directory + "/base-root-2"

    /// What micro virtual machines boot.
    public static let microVM = directory + "/microvm-2"
}
