public import Base
import EventBus
import OpenSSL

/// What a message of the exec topic asks for.
public struct BusRequest: Sendable {
    /// Names the message for ever: the executionId that it carries, or its place in its topic. One execution comes of it.
    public var message: String
    /// As the message has it; consumers of the other topics know the execution by it.
    public var requestedID: String?
    /// The rest, in the form of `POST /v1/executions`.
    public var body: JSONValue

    /// What the documented message may say besides what a request of the API may.
    private static let documented: Set<String> = ["executionId", "credentialIds", "inputData"]

    /// Throws for the first thing at fault, with its field.
    init(_ message: BusMessage, cluster: String, limit: Int) throws(BerthError) {
        guard let value = message.value else {
            throw BerthError(.invalidRequest, "the message is empty", remedy: "send a JSON object")
        }
        guard value.count <= limit else {
            throw BerthError(
                .tooLarge,
                "the message has \(value.count) bytes",
                remedy: "allowed: \(limit) bytes; put more into a file of the repository"
            )
        }
        guard case .object(var members) = try JSONValue(parsing: value, uniqueNames: true) else {
            throw BerthError(.invalidJSON, "the message is no JSON object")
        }
        requestedID = try Self.requestedID(members["executionId"])
        switch members["credentialIds"] {
        case nil, .null?, .array([])?: break
        default:
            throw BerthError(
                .unsupported,
                "stored credentials are not known here",
                field: "credentialIds",
                remedy: "send what the agent needs in env"
            )
        }
        // How many runs of a persona there are at once is the persona's own affair; this is one run.
        if case .object(var config)? = members["config"] {
            config["maxConcurrent"] = nil
            members["config"] = .object(config)
        }
        body = .object(members.filter { !Self.documented.contains($0.key) })
        self.message = requestedID.map { "id:\($0)" } ?? Self.place(message, cluster)
    }

    private static func requestedID(_ value: JSONValue?) throws(BerthError) -> String? {
        switch value {
        case nil, .null?: return nil
        case .string(let id)?:
            guard (1...200).contains(id.utf8.count), !id.utf8.contains(0) else {
                throw BerthError(
                    .invalidValue,
                    "it has \(id.utf8.count) bytes",
                    field: "executionId",
                    remedy: "1 to 200 bytes, none of them NUL"
                )
            }
            return id
        default: throw BerthError(.invalidValue, "expected a string", field: "executionId")
        }
    }

    /// The digest tells the messages of a topic that was removed and made anew from those that were there before.
    private static func place(_ message: BusMessage, _ cluster: String) -> String {
        var hash = SHA256()
        hash.update(Array("\(message.at?.milliseconds ?? 0)/".utf8) + (message.key ?? []) + [0] + (message.value ?? []))
        let digest = Hex.encode(hash.digest.prefix(8))
        return "at:\(cluster)/\(message.topic)/\(message.partition)/\(message.offset)/\(digest)"
    }
}
