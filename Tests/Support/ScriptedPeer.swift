/// A Python program of `Tests/Support/Peers` that prints its port first; it ends with this object.
public final class ScriptedPeer: Sendable {
    public let port: Int
    private let process: ChildProcess

    public init(_ name: String, _ arguments: [String]) async throws {
        process = try ChildProcess(["python3", Self.path(name)] + arguments)
        let line = try await process.line(containing: "")
        guard let port = Int(line) else {
            throw TimedOut(what: "the port of \(name)", process: process)
        }
        self.port = port
    }

    /// Where the program lies.
    public static func path(_ name: String) -> String {
        let here = #filePath
        return "\(here.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" })/Peers/\(name)"
    }
}
