import API
import Base
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol
import WorkspaceCalls
import WorkspaceTypes

/// `/v1/environments/{environmentId}/processes`.
extension ServerCore {
    private static let callTime = Duration.seconds(20)
    /// signal(7), as kill(1) names them.
    private static let signals: [String: Int32] = [
        "HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "CONT": 18, "STOP": 19,
        "TSTP": 20, "WINCH": 28,
    ]

    func processes(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        guard context.route.id == .processSignal else {
            let all = try await channels(of: record).call(ProcessListing(), until: time.uptime + Self.callTime)
            return try Self.json(Page(items: all))
        }
        let body: SignalProcess = try await context.body(limit: configuration.maximumBodyBytes)
        let text = context.parameter("pid")
        guard let pid = Int32(text), pid > 0 else {
            throw BerthError(.notFound, "'\(text.prefix(40))' is no process", field: "pid", remedy: "see 'berth ps'")
        }
        let call = ProcessSignal(
            pid: pid,
            signal: try Self.signal(body.signal ?? "TERM"),
            startedAtMs: body.startedAtMs
        )
        return try Self.json(try await channels(of: record).call(call, until: time.uptime + Self.callTime))
    }

    private static func signal(_ text: String) throws(BerthError) -> Int32 {
        let name = text.uppercased()
        if let number = Int32(text), (1...64).contains(number) { return number }
        if let number = signals[name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name] { return number }
        throw BerthError(
            .invalidValue,
            "'\(text.prefix(40))' is no signal",
            field: "signal",
            remedy: "one of \(signals.keys.sorted().joined(separator: ", ")), or 1 to 64"
        )
    }
}
