extension RouteTable {
    private static let port = Route.Parameter("port", .integer(minimum: 1, maximum: 65535), "the port, required")

    private static let about =
        "Binary messages carry the bytes both ways; an empty one ends its sender's direction. Before the upgrade: 502 "
        + "when nothing takes the connection, 503 while the worker is away. Closes with 1000 at the end of both "
        + "directions, 1013 when the worker was lost, 1014 when the connection was reset."

    static let tunnels: [Route] = [
        Route(
            .environmentTunnel,
            .get,
            "/v1/environments/{environmentId}/tcp",
            .run,
            "A WebSocket that is a TCP connection to a port inside an environment, which is woken where it rests. "
                + about,
            query: [port],
            answer: .webSocket,
            isAudited: true
        ),
        Route(
            .workerTunnel,
            .get,
            "/v1/workers/{workerId}/tcp",
            .manageEnvironments,
            "The same through a worker that stands alone, by its name or id.",
            query: [port],
            answer: .webSocket,
            isAudited: true
        ),
    ]
}
