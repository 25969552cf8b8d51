public import Base
import Synchronization

/// Notes what one request commits, so that its answer can name the number of its own change. It goes with the request's
/// task, because services answer with the thing they changed.
public final class FeedReceipt: Sendable {
    @TaskLocal public static var current: FeedReceipt?

    private let organization: OrganizationID
    private let number = Mutex<Int64?>(nil)

    public init(_ organization: OrganizationID) { self.organization = organization }

    /// The last event of the request's own changes; nil while it has made none.
    public var seq: Int64? { number.withLock { $0 } }

    func note(_ seq: Int64, _ organization: OrganizationID) {
        guard organization == self.organization else { return }
        number.withLock { $0 = max($0 ?? 0, seq) }
    }
}
