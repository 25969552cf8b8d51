import Base
import Database
import Domain
import EventBus

/// What the bus says of an execution that is not in its event.
struct ExecutionDetails {
    var personaID: String?
    var durationMs: Int64?
    /// Under which its requester knows it.
    var requestedID: String?

    static let none = ExecutionDetails()
}

/// The feed's events as messages of the documented topics.
enum BusMessages {
    /// Bytes of a message's value. Brokers usually take 1 MB, key and headers included.
    static let largest = 900_000
    static let ended: Set<String> = ["completed", "failed", "cancelled", "timedOut"]

    /// The topic of an event; nil when it stays off the bus.
    static func topic(of event: Event) -> BusTopic? {
        guard event.type.hasPrefix("execution.") else { return nil }
        return event.type == "execution.event" ? .events : .lifecycle
    }

    static func message(_ event: Event, _ details: ExecutionDetails, to topic: String) -> OutgoingMessage {
        let payload = (try? JSONValue(parsing: event.payload.utf8)) ?? .object([:])
        var members: [String: JSONValue] = [
            "executionId": .string(details.requestedID ?? event.subject), "id": .string(event.subject),
            "organizationId": .string(event.organizationID.text), "sequence": .integer(event.seq),
            "timestamp": .integer(event.at.milliseconds), "event": .string(event.type),
        ]
        if let persona = details.personaID { members["personaId"] = .string(persona) }
        if let attempt = payload["attempt"]?.integer { members["attempt"] = .integer(attempt) }
        var key = details.requestedID ?? event.subject
        if event.type == "execution.event" {
            members["type"] = "event"
            members["eventType"] = payload["eventType"]
            let told = payload["payload"] ?? .null
            members["payload"] = told
            key = project(of: told) ?? details.personaID ?? key
        } else {
            lifecycle(event, payload, details, &members)
        }
        var value = Array(JSONValue.object(members).text.utf8)
        if value.count > largest {
            // What an agent told of is whole in the execution's events, by the sequence.
            for name in ["payload", "message"] { members[name] = nil }
            members["isTruncated"] = .bool(true)
            value = Array(JSONValue.object(members).text.utf8)
        }
        return OutgoingMessage(
            topic: topic,
            key: Array(key.utf8),
            value: value,
            headers: [
                BusHeader("berth-organization", text: event.organizationID.text),
                BusHeader("berth-sequence", text: "\(event.seq)"),
            ]
        )
    }

    /// The end is the documented `complete`, whose status knows three ends; `state` says which one it was.
    private static func lifecycle(
        _ event: Event,
        _ payload: JSONValue,
        _ details: ExecutionDetails,
        _ members: inout [String: JSONValue]
    ) {
        let word = String(event.type.dropFirst("execution.".count))
        members["type"] = .string(ended.contains(word) ? "complete" : word)
        if let state = payload["state"]?.string {
            members["state"] = .string(state)
            members["status"] = .string(state == "timedOut" ? "failed" : state)
        }
        if ended.contains(word), let duration = details.durationMs { members["durationMs"] = .integer(duration) }
        for name in [
            "exitCode", "failure", "workerId", "environmentId", "workspaceId", "cancelledBy", "stage", "message",
        ] {
            if let value = payload[name] { members[name] = value }
        }
    }

    /// An agent's event belongs to a project where it says so.
    private static func project(of payload: JSONValue) -> String? {
        (payload["projectId"] ?? payload["project_id"])?.string.flatMap { $0.isEmpty ? nil : String($0.prefix(200)) }
    }
}
