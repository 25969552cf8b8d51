import Base
import Domain
import Testing

@Suite struct ReplicaLeaseTests {
    private static let start = Uptime(nanoseconds: 1_000_000_000_000)

    private static func at(_ seconds: Int) -> Uptime { start + .seconds(seconds) }

    private static func held(fence: Int64 = 1) -> ReplicaLease {
        var lease = ReplicaLease()
        lease.registered(fence: fence, sentAt: start)
        return lease
    }

    @Test func `it is held for ten seconds from when the request was sent`() {
        #expect(!ReplicaLease().isHeld(at: Self.start))
        let lease = Self.held()
        #expect(lease.isHeld(at: Self.at(9)))
        #expect(!lease.isHeld(at: Self.at(10)))
        #expect(lease.until == Self.at(10))
        #expect(lease.fence == 1)
    }

    @Test func `a renewal counts from its own request, and never shortens it`() {
        var lease = Self.held()
        lease.renewed(sentAt: Self.at(3), now: Self.at(4))
        #expect(lease.until == Self.at(13))
        lease.renewed(sentAt: Self.at(1), now: Self.at(5))
        #expect(lease.until == Self.at(13))
    }

    @Test func `a renewal that comes after the end revives nothing`() {
        var lease = Self.held()
        lease.renewed(sentAt: Self.at(9), now: Self.at(11))
        #expect(!lease.isHeld(at: Self.at(11)))
        let ranOut = lease.expire(now: Self.at(11))
        #expect(ranOut)
        lease.renewed(sentAt: Self.at(12), now: Self.at(12))
        #expect(lease.state == .lost(fence: 1))
    }

    @Test func `it runs out once, not before its time, and is told of once`() {
        var lease = Self.held()
        let early = lease.expire(now: Self.at(9))
        let due = lease.expire(now: Self.at(10))
        let again = lease.expire(now: Self.at(20))
        #expect(!early && due && !again)
        #expect(lease.fence == nil && lease.lastFence == 1 && lease.until == nil)
    }

    @Test func `after a loss the next registration brings a new fence`() {
        var lease = Self.held()
        lease.refused()
        #expect(lease.state == .lost(fence: 1))
        lease.refused()
        lease.registered(fence: 4, sentAt: Self.at(30))
        #expect(lease.fence == 4 && lease.isHeld(at: Self.at(39)))
    }

    @Test func `one that was given back stays so`() {
        var lease = Self.held()
        lease.end()
        lease.registered(fence: 2, sentAt: Self.at(1))
        lease.renewed(sentAt: Self.at(1), now: Self.at(1))
        lease.refused()
        let ranOut = lease.expire(now: Self.at(99))
        #expect(lease.state == .ended && !ranOut && !lease.isHeld(at: Self.at(1)))
    }
}
