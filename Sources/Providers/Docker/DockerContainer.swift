internal import Base
internal import Domain

/// Labels of a container of ours. They are fixed at its creation, so every incarnation is a container of its own.
enum DockerLabel {
    static let managed = "berth.managed"
    /// ``InstanceRequest/label``.
    static let label = "berth.label"
    /// The data directory that the environment belongs to: several servers may share one Engine.
    static let deployment = "berth.deployment"
    static let environment = "berth.environment"
    static let instance = "berth.instance"
}

/// What the Engine tells about one container (`GET /containers/{id}/json`).
struct DockerContainer: Sendable, Equatable {
    var id: String
    var labels: [String: String]
    /// created, running, paused, restarting, removing, exited or dead.
    var status: String
    var pid: Int32
    var exitCode: Int
    var isOutOfMemory: Bool
    /// Why it did not start, in the Engine's words.
    var error: String
    var finishedAt: Timestamp

    init(_ value: JSONValue) throws(BerthError) {
        guard let id = value["Id"]?.string, let state = value["State"], let status = state["Status"]?.string else {
            throw BerthError(.protocolViolation, "the Docker Engine describes a container without id and state")
        }
        self.id = id
        self.status = status
        labels = Self.labels(value["Config"]?["Labels"])
        pid = state["Pid"]?.integer.flatMap { Int32(exactly: $0) } ?? 0
        exitCode = state["ExitCode"]?.integer.flatMap { Int(exactly: $0) } ?? 0
        isOutOfMemory = state["OOMKilled"]?.bool ?? false
        error = state["Error"]?.string ?? ""
        finishedAt = Self.time(state["FinishedAt"]?.string ?? "") ?? Timestamp(milliseconds: 0)
    }

    static func labels(_ value: JSONValue?) -> [String: String] {
        guard case .object(let members) = value else { return [:] }
        return members.compactMapValues(\.string)
    }

    /// RFC 3339 with up to nine digits of a second.
    static func time(_ text: String) -> Timestamp? {
        guard let dot = text.firstIndex(of: ".") else { return try? Timestamp(text) }
        let digits = text[text.index(after: dot)...].prefix { $0.isNumber }
        let zone = text[digits.endIndex...]
        return try? Timestamp("\(text[..<dot]).\((digits + "000").prefix(3))\(zone)")
    }

    var isManaged: Bool { labels[DockerLabel.managed] == "true" }
    var instance: Int64? { labels[DockerLabel.instance].flatMap { Int64($0) } }
    var isAlive: Bool { ["running", "paused", "restarting"].contains(status) }

    var state: InstanceState {
        switch status {
        case "running", "restarting": return .running
        case "paused": return .paused
        case "created": return .created
        default: return .stopped(end)
        }
    }

    /// An exit code above 128 is a signal, as the Engine reports it.
    private var end: InstanceEnd {
        (129...192).contains(exitCode)
            ? .killed(signal: exitCode - 128, at: finishedAt) : .exited(code: exitCode, at: finishedAt)
    }

    /// What the Engine adds to the bare end.
    var words: String? {
        guard !isAlive, status != "created" || !error.isEmpty else { return nil }
        if isOutOfMemory { return "the container ran out of memory and was killed (Docker: OOMKilled)" }
        return error.isEmpty ? nil : "Docker: \(error)"
    }
}
