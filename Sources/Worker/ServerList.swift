internal import Base
internal import Synchronization

/// Where this worker's servers are: those that it was started with, then those that a server told it of.
final class ServerList: Sendable {
    private let given: [String]
    private let learned = Mutex<[String]>([])

    init(_ given: [String]) { self.given = given }

    var all: [String] { given + learned.withLock { $0 } }

    /// A worker behind a socket of its own machine is reached by that one server alone and learns nothing.
    func learn(_ servers: [String]) {
        guard !given.contains(where: { $0.hasPrefix("unix:") }) else { return }
        let known = Set(given.map(Self.place))
        learned.withLock { learned in
            learned = servers.prefix(Self.limit).filter { !known.contains(Self.place($0)) }
        }
    }

    private static let limit = 64

    /// `ws://host:1/` and `http://host:1` are one server.
    private static func place(_ url: String) -> String {
        let rest = url.split(separator: "://", maxSplits: 1).last.map(String.init) ?? url
        let isSecure = url.hasPrefix("https:") || url.hasPrefix("wss:")
        return (isSecure ? "s:" : "p:") + rest.prefix { $0 != "/" }
    }
}
