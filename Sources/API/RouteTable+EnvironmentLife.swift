extension RouteTable {
    /// How long environments live, what they may take, and how they are.
    static let environmentLife: [Route] = [
        Route(
            .environmentActivity,
            .get,
            "/v1/environments/{environmentId}/activity",
            .read,
            "What goes on in an environment, when it is put to rest if nobody uses it, and the evidence of every time that "
                + "it was.",
            answer: .json(.environmentActivity)
        ),
        Route(
            .environmentHealth,
            .get,
            "/v1/environments/{environmentId}/health",
            .read,
            "What the last look at a running environment found.",
            answer: .json(.environmentHealth)
        ),
        Route(
            .environmentExtend,
            .post,
            "/v1/environments/{environmentId}/extend",
            .manageEnvironments,
            "Set when an environment is destroyed by itself, or that it never is.",
            body: .extendEnvironment,
            answer: .json(.environment),
            isAudited: true
        ),
        Route(
            .quotaGet,
            .get,
            "/v1/quota",
            .read,
            "The caller's tier, what it allows and how much of it is used.",
            answer: .json(.quota)
        ),
        Route(
            .quotaSet,
            .post,
            "/v1/quota",
            .manageOrganization,
            "Give a member another tier.",
            body: .setTier,
            answer: .json(.quota),
            isAudited: true
        ),
    ]
}
