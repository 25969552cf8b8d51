import API
public import Base
import Glibc
public import OpenSSL

/// Where a server answers, the key to present, and how to know it.
public struct ServerAddress: Sendable {
    public var url: String
    public var key: Secret<String>?
    /// Of the keys it may show; none: what its certificate says counts.
    public var pins: [KeyPin] = []
    /// PEM file of the authorities to trust instead of the system's.
    public var caFile: String?

    public init(url: String, key: Secret<String>?, pins: [KeyPin] = [], caFile: String? = nil) {
        self.url = url
        self.key = key
        self.pins = pins
        self.caFile = caFile
    }

    /// What the CLI reads: the server's own note in its data directory.
    struct Note: Codable {
        var url: String
        var pid: Int32?
        /// Whoever may read this directory needs no authority to know the server.
        var pin: String?
    }

    public var trust: TLSTrust {
        if !pins.isEmpty { return .keys(pins) }
        return caFile.map { .authorities(file: $0) } ?? .system
    }

    /// Which servers to believe, by the settings `serverPin` and `caFile`.
    static func trust(_ configuration: Configuration) throws(BerthError) -> TLSTrust {
        if let text = configuration.text("serverPin") { return .keys(try pins(text)) }
        return configuration.text("caFile").map { .authorities(file: $0) } ?? .system
    }

    private static func pins(_ text: String) throws(BerthError) -> [KeyPin] {
        do {
            return try KeyPin.list(text)
        } catch {
            throw BerthError(error.code, error.message, field: "serverPin", remedy: error.remedy)
        }
    }

    /// From the settings `server`, `apiKey`, `serverPin` and `caFile`, else from the files that a running server wrote.
    public static func find(_ configuration: Configuration) throws(BerthError) -> ServerAddress {
        let directory = DataDirectory(path: configuration.dataDirectory)
        let key = configuration.secret("apiKey") ?? Files.text(directory.apiKeyPath).map { Secret($0.trimmed) }
        let caFile = configuration.text("caFile")
        var pins: [KeyPin] = []
        if let text = configuration.text("serverPin") { pins = try Self.pins(text) }
        if let url = configuration.text("server") {
            return ServerAddress(url: url, key: key, pins: pins, caFile: caFile)
        }
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
        if pins.isEmpty, caFile == nil, let pin = note.pin { pins = (try? KeyPin.list(pin)) ?? [] }
        return ServerAddress(url: note.url, key: key, pins: pins, caFile: caFile)
    }

    /// Leaves the address where ``find(_:)`` looks.
    func note(in directory: DataDirectory) throws {
        let note = Note(url: url, pid: getpid(), pin: pins.first?.description)
        try directory.write(String(decoding: try JSONBody.encode(note), as: UTF8.self) + "\n", to: "server.json")
    }
}
