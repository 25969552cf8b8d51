import API
public import Base

/// Where a server answers and the key to present.
public struct ServerAddress: Sendable {
    public var url: String
    public var key: Secret<String>?

    /// What the CLI reads: the server's own note in its data directory.
    struct Note: Codable {
        var url: String
        var pid: Int32?
    }

    /// From the settings `server` and `apiKey`, else from the files that a running server wrote.
    public static func find(_ configuration: Configuration) throws(BerthError) -> ServerAddress {
        let directory = DataDirectory(path: configuration.dataDirectory)
        let key = configuration.secret("apiKey") ?? Files.text(directory.apiKeyPath).map { Secret($0.trimmed) }
        if let url = configuration.text("server") { return ServerAddress(url: url, key: key) }
        guard let text = Files.text(directory.serverFilePath) else {
            throw BerthError(
                .unavailable,
                "no server runs on \(configuration.dataDirectory)",
                remedy: "start one with 'berth serve' (or scripts/start), or name one with --server URL"
            )
        }
        guard let note = try? JSONBody.decode(Note.self, from: Array(text.utf8)) else {
            throw BerthError(
                .unavailable,
                "\(directory.serverFilePath), where a running server leaves its address, is damaged",
                remedy: "restart the server, or name its address with --server URL"
            )
        }
        return ServerAddress(url: note.url, key: key)
    }
}
