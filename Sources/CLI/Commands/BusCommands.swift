import API
import Base
import Client
import FoundationEssentials

/// `bus …`.
enum BusCommands {
    static let all = [topics, groups, tail, publish]
    private static let topic = Operand(name: "TOPIC", count: .one, about: "such as persona.lifecycle.v1")

    private static let topics = Command(
        path: ["bus", "topics"],
        summary: "List the topics of the event bus.",
        examples: [Example(line: "berth bus topics", about: "What each partition holds")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<BusTopicView> = try await session.client.call(.busTopics)
            try session.print(page) {
                var table = Table(header: ["TOPIC", "PARTITION", "FIRST", "END"])
                for topic in page.items {
                    for part in topic.partitions {
                        table.rows.append([topic.name, "\(part.partition)", "\(part.first)", "\(part.end)"])
                    }
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let groups = Command(
        path: ["bus", "groups"],
        summary: "Show where consumer groups stand, and how far behind they are.",
        options: [.value("group", "NAME", "Only this one; default: all, with Kafka the server's own.")],
        examples: [Example(line: "berth bus groups", about: "Whether requests wait on the exec topic")]
    ) { arguments, terminal in
        let query = arguments.text("group").map { [("group", $0)] } ?? []
        return try await ServerSession.with(arguments, terminal) { session in
            let page: Page<BusGroupView> = try await session.client.call(.busGroups, query: query)
            try session.print(page) {
                var table = Table(header: ["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG"])
                for row in page.items {
                    table.rows.append([
                        row.group, row.topic, "\(row.partition)", row.committed.map { "\($0)" } ?? "-", "\(row.end)",
                        "\(row.lag)",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let tail = Command(
        path: ["bus", "tail"],
        summary: "Show the messages of a topic; variables and logins are left out.",
        operands: [topic],
        options: [
            .flag("follow", short: "f", "Go on with what comes, until interrupted."),
            .value("from", "POSITION", "beginning (default), end, or offsets such as 0:12,1:7."),
            .value("limit", "N", "How many at most, 1 to 1000; default 100. Not with --follow."),
        ],
        examples: [
            Example(line: "berth bus tail persona.dlq.v1", about: "What was refused, and why"),
            Example(line: "berth bus tail -f --from end persona.output.v1 --json", about: "One JSON object per line"),
        ]
    ) { arguments, terminal in
        let follows = arguments.has("follow")
        let limit = try arguments.integer("limit", in: 1...1000)
        guard !follows || limit == nil else {
            throw BerthError(.usage, "it goes without --follow", field: "--limit", remedy: "leave one of them out")
        }
        let start = arguments.text("from") ?? "beginning"
        return try await ServerSession.with(arguments, terminal) { session in
            var position = start
            var isFirst = true
            var left = limit ?? 100
            var isMore = true
            // Brokers hand over what they have in pieces: the end is where nothing comes any more.
            while isMore {
                let page: BusMessagePage = try await session.client.call(
                    .busMessages,
                    path: ["topic": arguments.operands[0]],
                    query: [
                        ("from", position), ("limit", "\(follows ? 100 : left)"),
                        ("waitMs", follows && !isFirst ? "20000" : "0"),
                    ]
                )
                position = page.next
                isFirst = false
                left -= page.messages.count
                isMore = follows || (!page.messages.isEmpty && left > 0)
                try session.show(page)
            }
            return 0
        }
    }

    private static let publish = Command(
        path: ["bus", "publish"],
        summary: "Publish a message that stands on standard input.",
        operands: [topic],
        options: [.value("key", "KEY", "Messages with one key keep their order.")],
        examples: [
            Example(
                line: "echo '{\"command\":[\"true\"]}' | berth bus publish persona.exec.v1",
                about: "Ask for an execution as a Kafka client would"
            )
        ]
    ) { arguments, terminal in
        let value = try Input.standardInput(for: "the message")
        guard !value.isEmpty else {
            throw BerthError(
                .usage,
                "the message on standard input is empty",
                remedy: "pipe one in; see berth bus publish --help"
            )
        }
        return try await ServerSession.with(arguments, terminal) { session in
            let made: PublishedMessage = try await session.client.call(
                .busPublish,
                path: ["topic": arguments.operands[0]],
                body: PublishMessage(key: arguments.text("key"), value: value)
            )
            try session.print(made) { "published to \(made.topic)\n" }
            return 0
        }
    }
}

extension ServerSession {
    fileprivate func show(_ page: BusMessagePage) throws {
        for message in page.messages {
            if isJSON {
                terminal.writeBytes(try JSONBody.encode(message) + Array("\n".utf8), toError: false)
            } else {
                let value = message.value ?? message.valueBase64.map { "base64 \($0)" } ?? "-"
                let line = "\(message.partition):\(message.offset)  \(message.key ?? "-")  \(value)"
                terminal.write(Table.printable(line) + "\n")
            }
        }
    }
}
