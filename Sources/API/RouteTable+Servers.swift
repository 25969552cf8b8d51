extension RouteTable {
    static let servers: [Route] = [
        Route(
            .serverList,
            .get,
            "/v1/servers",
            .manageOrganization,
            "The servers of this database, those that ended within a day included, with what each of them holds.",
            answer: .json(.page("ServerPage", of: .server))
        )
    ]
}

extension Schema {
    static let server = Schema.object(
        name: "Server",
        members: [
            .required("id", .string(), "srv_…"),
            .required("isThis", .boolean, "whether it is the one that answers"),
            .required("status", .string(), "living, ended, or lost: its lease ran out without a word"),
            .required("version", .string(), "of its program"),
            .optional("address", .string(), "where the others reach it"),
            .required("fence", .integer(), "counts its registrations"),
            .required("startedAt", time, "its last registration"),
            .required("leaseAgeMs", .integer(), "since the lease was renewed; every 3 s while it lives"),
            .required("leaseLeftMs", .integer(), "until it runs out; 0: it has"),
            .required("workers", .integer(), "connected to it"),
            .required("executions", .integer(), "that those hold"),
            .required("environments", .integer(), "that it looks after"),
        ]
    )
}
