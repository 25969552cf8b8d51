internal import Base
internal import Relay
internal import WorkerProtocol

/// The answer to one question, as its channel carries it.
enum ServiceReply {
    /// What `body` returns, or the error it throws as a refusal.
    static func make<Value: Sendable & Codable>(_ body: () async throws -> Value) async -> ServiceStart {
        let answer: ServiceAnswer<Value>
        do {
            answer = ServiceAnswer(value: try await body())
        } catch {
            answer = ServiceAnswer(refusal: ServiceRefusal(BerthError(wrapping: error)))
        }
        let bytes = (try? JSONText.encode(answer)) ?? []
        return { channel in ReplyEnd(bytes, channel).begin() }
    }
}
