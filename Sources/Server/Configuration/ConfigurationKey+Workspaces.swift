import Base
import Domain

extension ConfigurationKey {
    /// Checkouts and their remotes.
    static let workspaces: [ConfigurationKey] = [
        .init(
            "mode",
            .choice(["desktop", "cloud"]),
            ["BERTH_MODE"],
            default: "cloud",
            "desktop: a person's own machine; cloud: a server. Workspaces that it owns are DESKTOP or CLOUD accordingly"
        ),
        .init(
            "syncIntervalMs",
            .integer(1000...86_400_000),
            ["BERTH_SYNC_INTERVAL_MS"],
            default: "300000",
            unit: "ms",
            "between two looks at a workspace's git remote; the real one is up to a fifth longer or shorter"
        ),
    ]
}

extension Configuration {
    var location: WorkspaceLocation { text("mode") == "desktop" ? .desktop : .cloud }
    var syncInterval: Duration { .milliseconds(integer("syncIntervalMs")) }
}
