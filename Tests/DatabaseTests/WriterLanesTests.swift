import Base
import Testing

@testable import DatabasePostgres

@Suite struct WriterLanesTests {
    private let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())

    @Test func `organizations that write at the same time spread over all connections`() {
        let lanes = WriterLanes(count: 8)
        let taken = (0..<8).map { _ in lanes.enter(ids.make()) }
        #expect(Set(taken).count == 8)
    }

    @Test func `an organization stays on its connection while it has something under way, and no longer`() {
        let lanes = WriterLanes(count: 2)
        let (first, second): (OrganizationID, OrganizationID) = (ids.make(), ids.make())
        let lane = lanes.enter(first)
        #expect(lanes.enter(first) == lane)
        let other = lanes.enter(second)
        #expect(other != lane)
        lanes.leave(first)
        #expect(lanes.enter(first) == lane)
        lanes.leave(first)
        lanes.leave(first)
        for _ in 0..<3 { #expect(lanes.enter(second) == other) }
        #expect(lanes.enter(first) == lane)
    }
}
