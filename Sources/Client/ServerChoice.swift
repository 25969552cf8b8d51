import Base
import Synchronization
import Transport

/// The servers of one deployment, and which of them is asked: the same one until it does not answer.
final class ServerChoice: Sendable {
    private let urls: [HTTPURL]
    private let place = Mutex(0)

    /// - Parameter text: one URL, or several with commas.
    init(_ text: String) throws(BerthError) {
        var urls: [HTTPURL] = []
        for part in text.split(separator: ",") { urls.append(try HTTPURL(String(part).trimmed)) }
        guard !urls.isEmpty else {
            throw BerthError(.invalidValue, "no server is named", field: "server", remedy: "write --server URL")
        }
        self.urls = urls
    }

    var count: Int { urls.count }

    /// The one to ask, and its number for ``leave(_:)``.
    var current: (url: HTTPURL, number: Int) {
        let number = place.withLock { $0 }
        return (urls[number], number)
    }

    var isLocal: Bool { urls.allSatisfy(\.endpoint.isLocal) }

    /// It did not answer: the next one is asked, unless somebody has moved on already.
    func leave(_ number: Int) {
        place.withLock { place in
            if place == number { place = (number + 1) % urls.count }
        }
    }
}
