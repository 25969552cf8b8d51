internal import Base
internal import Transport

/// What can be told about an Engine before anything is made on it.
public struct DockerReport: Sendable {
    public var version: String
    /// Whether containers go on while the Engine is down (`live-restore`).
    public var containersOutliveEngine: Bool
    public var image: String
    public var hasImage: Bool
}

extension DockerProvider {
    /// Throws as every call does where no Engine answers.
    public func examine() async throws -> DockerReport {
        let information = try await engine.call(.get, "/info", to: "tell about itself").body
        return DockerReport(
            version: information["ServerVersion"]?.string ?? "unknown",
            containersOutliveEngine: information["LiveRestoreEnabled"]?.bool ?? false,
            image: configuration.image,
            hasImage: try await engine.image(configuration.image) != nil
        )
    }
}
