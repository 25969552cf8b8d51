internal import Base
internal import Domain

/// Why a turn failed, from what the agent tells of its model endpoint.
enum EndpointFailure {
    /// - Parameter login: how somebody logs in.
    static func reason(status: Int?, text: String, login: String) -> FailureReason {
        let words = text.lowercased()
        func says(_ phrases: String...) -> Bool { phrases.contains { words.contains($0) } }
        let text = String(text.prefix(2000))
        if says("not logged in", "/login", "log in again", "missing bearer", "no credentials", "please login") {
            return FailureReason(.loginMissing, "the agent has no login: \(text)", remedy: login)
        }
        switch status {
        case 401, 403:
            return FailureReason(.keyRefused, "the model endpoint refused the login: \(text)", remedy: login)
        case 429:
            return FailureReason(.rateLimited, "the model endpoint limits the rate: \(text)", remedy: "wait a while")
        case .some(500...):
            return FailureReason(.endpointFailed, "the model endpoint fails: \(text)", remedy: "send it again later")
        default: break
        }
        if says("usage limit", "credit balance", "hour limit", "weekly limit", "out of extra usage") {
            return FailureReason(
                .quotaExceeded,
                "the agent's account is used up: \(text)",
                remedy: "wait for the limit to reset"
            )
        }
        if says("econn", "enotfound", "eai_again", "unable to connect", "connection", "timed out", "fetch failed") {
            return FailureReason(
                .network,
                "the agent could not reach its model endpoint: \(text)",
                remedy: "check the environment's network policy"
            )
        }
        return FailureReason(.agentFailed, "the agent reported an error: \(text)")
    }
}
