import Domain

extension ConfigurationKey {
    static let handOvers: [ConfigurationKey] = [
        .init(
            "mode",
            .choice(["desktop", "cloud"]),
            ["BERTH_MODE"],
            default: "cloud",
            "whether this server is somebody's own machine or the one that work is sent to: the location of its workspaces"
        )
    ]
}

extension Configuration {
    /// Of the workspaces that this server owns.
    var location: WorkspaceLocation { text("mode") == "desktop" ? .desktop : .cloud }
}
