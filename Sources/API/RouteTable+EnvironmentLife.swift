extension RouteTable {
    static let environmentLife: [Route] = [
        Route(
            .environmentActivity,
            .get,
            "/v1/environments/{environmentId}/activity",
            .read,
            "What goes on in an environment, when it is put to rest if nobody uses it, and the evidence of every time that "
                + "it was.",
            answer: .json(.environmentActivity)
        )
    ]
}
