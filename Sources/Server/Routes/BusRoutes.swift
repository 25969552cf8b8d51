import API
import Base
import Bus
import Domain
import EventBus
import Transport

/// `/v1/bus`: the organization's own topics, for those who manage it.
extension ServerCore {
    func busTopics(_ context: RequestContext) async throws -> HTTPResponse {
        let organization = try context.principal.organizationID
        let topics = try await bus.bus.topics { [bus] in bus.tenants.organization(of: $0) == organization }
        return try Self.json(
            Page(
                items: topics.map { topic in
                    BusTopicView(
                        name: topic.name,
                        partitions: topic.partitions.map {
                            .init(partition: Int($0.partition), first: $0.first, end: $0.end)
                        }
                    )
                }
            )
        )
    }

    func busGroups(_ context: RequestContext) async throws -> HTTPResponse {
        let organization = try context.principal.organizationID
        let topics = try await bus.bus.topics { [bus] in bus.tenants.organization(of: $0) == organization }
        let group = context.text("group") ?? (bus.embedded == nil ? bus.group : nil)
        let all = try await bus.bus.positions(of: group, in: topics.map(\.name))
        // Brokers answer for every topic; a group reads those of which it has committed something.
        let read = Set(all.filter { $0.committed != nil }.map { "\($0.group)/\($0.topic)" })
        let positions = all.filter { [house = bus] in
            read.contains("\($0.group)/\($0.topic)")
                || $0.group == house.group && BusTopic.parse($0.topic)?.topic == .execution
        }
        return try Self.json(
            Page(
                items: positions.map {
                    BusGroupView(
                        group: $0.group,
                        topic: $0.topic,
                        partition: Int($0.partition),
                        committed: $0.committed,
                        end: $0.end,
                        lag: $0.lag
                    )
                }
            )
        )
    }

    func busMessages(_ context: RequestContext) async throws -> HTTPResponse {
        let topic = try ownTopic(context)
        guard let status = try await bus.bus.topics(where: { $0 == topic }).first else { throw Self.unknown(topic) }
        var positions = try Self.positions(context.text("from") ?? "beginning", in: status)
        let limit = Int(try context.integer("limit", default: 100))
        let deadline = time.uptime + .milliseconds(try context.integer("waitMs", default: 0))
        var messages: [BusMessage] = []
        while messages.isEmpty {
            let isCaughtUp = status.partitions.allSatisfy { (positions[$0.partition] ?? 0) >= $0.end }
            let left = deadline - time.uptime
            guard !isCaughtUp || left > .zero, !draining.hasBegun else { break }
            // What brokers have takes its time to come; and a server that stops is not held up for long.
            let patience = min(max(left, isCaughtUp ? .zero : .seconds(2)), .seconds(5))
            messages = try await bus.bus.read(topic, from: positions, limit: limit, wait: patience)
            if left <= .zero { break }
        }
        for message in messages { positions[message.partition] = message.offset + 1 }
        let next = positions.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ",")
        return try Self.json(BusMessagePage(messages: messages.map(BusMessageView.init), next: next))
    }

    func busPublish(_ context: RequestContext) async throws -> HTTPResponse {
        let topic = try ownTopic(context)
        let body: PublishMessage = try await context.body(limit: configuration.maximumBodyBytes)
        let headers = (body.headers ?? [:]).sorted { $0.key < $1.key }.map { BusHeader($0.key, text: $0.value) }
        let message = OutgoingMessage(
            topic: topic,
            key: body.key.map { Array($0.utf8) },
            value: Array(body.value.utf8),
            headers: headers
        )
        try await bus.bus.publish([message])
        return try Self.json(PublishedMessage(topic: topic), status: 201)
    }

    /// Another organization's topics are not there.
    private func ownTopic(_ context: RequestContext) throws -> String {
        let topic = context.parameter("topic")
        guard bus.tenants.organization(of: topic) == (try context.principal.organizationID) else {
            throw Self.unknown(topic)
        }
        return topic
    }

    private static func unknown(_ topic: String) -> BerthError {
        BerthError(
            .notFound,
            "there is no topic '\(topic.prefix(80))'",
            field: "topic",
            remedy: "see berth bus topics"
        )
    }

    /// `beginning`, `end`, or `0:12,1:7`.
    private static func positions(_ text: String, in topic: TopicStatus) throws(BerthError) -> [Int32: Int64] {
        var positions: [Int32: Int64] = [:]
        for partition in topic.partitions {
            positions[partition.partition] = text == "end" ? partition.end : partition.first
        }
        guard !["beginning", "end", ""].contains(text) else { return positions }
        for part in text.split(separator: ",") {
            let sides = part.split(separator: ":")
            guard sides.count == 2, let partition = Int32(sides[0]), let offset = Int64(sides[1]), offset >= 0,
                let first = positions[partition]
            else {
                throw BerthError(
                    .invalidValue,
                    "'\(text.prefix(80))' is no position in \(topic.name)",
                    field: "from",
                    remedy: "beginning, end, or the 'next' of the page before"
                )
            }
            positions[partition] = max(first, offset)
        }
        return positions
    }
}

extension BusMessageView {
    init(_ message: BusMessage) {
        self.init(topic: message.topic, partition: Int(message.partition), offset: message.offset)
        key = message.key.map { String(decoding: $0, as: UTF8.self) }
        for header in message.headers { headers[header.name] = String(decoding: header.value, as: UTF8.self) }
        at = message.at
        guard let bytes = message.value else { return }
        if let text = String(validating: bytes, as: UTF8.self) {
            value = MessageSecrets.removed(from: text)
        } else {
            var text: [UInt8] = []
            Base64.append(bytes, to: &text)
            valueBase64 = String(decoding: text, as: UTF8.self)
        }
    }
}

/// Requests on the exec topic, and those that came back from it, may carry variables and logins: who looks at a topic
/// does not see them.
enum MessageSecrets {
    private static let members = ["env", "gitCredentials", "ssh"]

    static func removed(from text: String) -> String {
        guard case .object(var object)? = try? JSONValue(parsing: text.utf8) else { return text }
        var isChanged = false
        for name in members where object[name] != nil {
            object[name] = "<redacted>"
            isChanged = true
        }
        if let original = object["originalMessage"]?.string {
            let shown = removed(from: original)
            isChanged = isChanged || shown != original
            object["originalMessage"] = .string(shown)
        }
        return isChanged ? JSONValue.object(object).text : text
    }
}
