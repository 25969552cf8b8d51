extension RouteTable {
    static let bus: [Route] = [
        Route(
            .busTopics,
            .get,
            "/v1/bus/topics",
            .manageOrganization,
            "The organization's topics of the event bus.",
            answer: .json(.page("BusTopicPage", of: .busTopic))
        ),
        Route(
            .busGroups,
            .get,
            "/v1/bus/groups",
            .manageOrganization,
            "Where consumer groups stand in the organization's topics. Of Kafka's groups: one.",
            query: [.init("group", .string(), "only this one; default: all, with Kafka the server's own")],
            answer: .json(.page("BusGroupPage", of: .busGroup))
        ),
        Route(
            .busMessages,
            .get,
            "/v1/bus/topics/{topic}/messages",
            .manageOrganization,
            "Messages of a topic, oldest first within each partition. Variables and logins are left out.",
            query: [
                .init("from", .string(), "`beginning` (default), `end`, or the `next` of the page before"),
                .init("limit", .integer(minimum: 1, maximum: 1000), "default 100"),
                .init("waitMs", .integer(minimum: 0, maximum: 30_000), "wait this long for one; default 0"),
            ],
            answer: .json(.busMessagePage)
        ),
        Route(
            .busPublish,
            .post,
            "/v1/bus/topics/{topic}/messages",
            .manageOrganization,
            "Publish a message; answered when the bus has it for good.",
            body: .publishMessage,
            answer: .json(.publishedMessage, status: 201),
            isAudited: true
        ),
    ]
}

extension Schema {
    static let busTopic = Schema.object(
        name: "BusTopic",
        members: [
            .required("name", .string(), "such as persona.exec.v1"),
            .required(
                "partitions",
                .array(
                    .object(
                        name: "BusPartition",
                        members: [
                            .required("partition", .integer(), "from 0"),
                            .required("first", .integer(), "its oldest offset"),
                            .required("end", .integer(), "one more than its newest"),
                        ]
                    )
                ),
                "what they hold"
            ),
        ]
    )

    static let busGroup = Schema.object(
        name: "BusGroup",
        members: [
            .required("group", .string(), "its name"),
            .required("topic", .string(), "a topic that it reads"),
            .required("partition", .integer(), "from 0"),
            .optional("committed", .integer(), "the next offset that it reads"),
            .required("end", .integer(), "one more than the newest offset"),
            .required("lag", .integer(), "messages that it has yet to take"),
        ]
    )

    static let busMessagePage = Schema.object(
        name: "BusMessagePage",
        members: [
            .required(
                "messages",
                .array(
                    .object(
                        name: "BusMessage",
                        members: [
                            .required("topic", .string(), "its topic"),
                            .required("partition", .integer(), "from 0"),
                            .required("offset", .integer(), "its place in the partition"),
                            .optional("key", .string(), "its key"),
                            .optional("value", .string(), "its value, where that is text"),
                            .optional("valueBase64", .string(), "its value, where that is no text"),
                            .required("headers", .map(.string()), "by name"),
                            .optional("at", time, "when"),
                        ]
                    )
                ),
                "oldest first within each partition"
            ),
            .required("next", .string(), "hand it back as `from`"),
        ]
    )

    static let publishMessage = Schema.object(
        name: "PublishMessage",
        members: [
            .optional("key", .string(), "messages with one key keep their order"),
            .required("value", .string(), "for the documented topics a JSON text"),
            .optional("headers", .map(.string()), "by name"),
        ]
    )

    static let publishedMessage = Schema.object(
        name: "PublishedMessage",
        members: [.required("topic", .string(), "where it is now")]
    )
}
