import Base
import Synchronization
import WorkerProtocol

/// What the workers of a test say to claims: in turn, then yes.
final class ClaimAnswers: Sendable {
    enum Answer: Sendable {
        case yes
        case no(String)
    }

    private let next = Mutex<[Answer]>([])

    func say(_ answers: Answer...) { next.withLock { $0 += answers } }

    func answer(_ claim: ServerMessage.Claim) -> WorkerMessage.Claimed {
        switch next.withLock({ $0.isEmpty ? .yes : $0.removeFirst() }) {
        case .yes: .init(claim: claim.claim)
        case .no(let reason): .init(claim: claim.claim, refusal: reason)
        }
    }
}
