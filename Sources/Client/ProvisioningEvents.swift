public import API
import Base
import EventLoop
import Transport

extension BerthClient {
    /// Hands over the lines of an environment's provisioning log as they come.
    /// - Parameters:
    ///   - isCurrent: only those of what is under way; returns when that has ended. Else it goes on until cancelled.
    ///   - after: only later ones.
    public func provisioningLog(
        of environment: String,
        isCurrent: Bool,
        after: Int64 = 0,
        _ show: (ProvisioningEntry) throws -> Void
    ) async throws {
        var after = after
        var backoff = Backoff(first: .milliseconds(100), limit: .seconds(10))
        while true {
            do {
                var query = [("after", "\(after)")]
                if isCurrent { query.append(("current", "true")) }
                let response = try await send(
                    .environmentLog,
                    ["environmentId": environment],
                    query,
                    headers: ["accept": "text/event-stream"]
                )
                var parser = EventStreamParser()
                let bytes = response.body.makeAsyncIterator()
                while let piece = try await bytes.next() {
                    for event in try parser.feed(piece) where event.event == "entry" {
                        let entry = try JSONBody.decode(ProvisioningEntry.self, from: Array(event.data.utf8))
                        after = entry.seq
                        backoff.reset()
                        try show(entry)
                    }
                }
                return
            } catch let error as BerthError where [.network, .unavailable].contains(error.code) {
                leaveServer()
                try await loop.time.wait(for: backoff.next(randomness))
            }
        }
    }
}
