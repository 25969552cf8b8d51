import Base
import Domain
import Testing

/// Every state of a hand-over against every event, and walks of both sides over a link that loses and repeats.
@Suite struct HandOverMachineTests {
    enum Event: String, CaseIterable {
        case commit, finish, prepare, own, abort, take, supersede, supersedeLate

        func apply(_ machine: inout HandOverMachine) throws(BerthError) {
            switch self {
            case .commit: try machine.commit()
            case .finish: try machine.finish()
            case .prepare: try machine.prepare()
            case .own: try machine.own()
            case .abort: try machine.abort()
            case .take: try machine.take()
            case .supersede: try machine.supersede(by: machine.epoch + 1)
            case .supersedeLate: try machine.supersede(by: machine.epoch)
            }
        }
    }

    /// State, event, state after; every pair that is not here is refused and changes nothing.
    private static let table: [HandOverState: [Event: HandOverState]] = [
        .preparing: [.commit: .committed, .abort: .aborted, .supersede: .orphaned],
        .committed: [.commit: .committed, .finish: .done, .take: .retaken, .supersede: .committed],
        .done: [.commit: .done, .finish: .done, .take: .retaken, .supersede: .done],
        .staging: [.prepare: .prepared, .abort: .aborted, .supersede: .aborted],
        .prepared: [.prepare: .prepared, .own: .owner, .abort: .aborted, .take: .owner, .supersede: .aborted],
        .owner: [.prepare: .owner, .own: .owner, .supersede: .orphaned],
        .aborted: [.abort: .aborted, .supersede: .aborted],
        .retaken: [.take: .retaken, .supersede: .orphaned],
        .orphaned: [.supersede: .orphaned],
    ]

    @Test func `the table of transitions is what the machine does`() throws {
        #expect(Set(Self.table.keys) == Set(HandOverState.allCases))
        for state in HandOverState.allCases {
            for event in Event.allCases {
                var machine = HandOverMachine(state, side: .source, epoch: 7)
                let wanted = Self.table[state]?[event]
                do throws(BerthError) {
                    try event.apply(&machine)
                    #expect(machine.state == wanted, "\(state) \(event)")
                    #expect(machine.epoch == (event == .take && state != .retaken ? 8 : 7))
                } catch {
                    #expect(wanted == nil, "\(state) \(event): \(error)")
                    #expect(machine == HandOverMachine(state, side: .source, epoch: 7))
                    #expect([.illegalTransition, .stale].contains(error.code))
                }
            }
        }
    }

    /// As the servers talk: whatever is lost, comes twice or comes late, at no time do both own the workspace, and when
    /// both can talk again exactly one does.
    @Test(arguments: 0..<200)
    func `two sides never own at once, and one does in the end`(seed: Int) throws {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func next(_ count: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(count))
        }
        var source = HandOverMachine.source(epoch: 2)
        var destination: HandOverMachine?
        func check() {
            let sourceOwns = source.custody == .frozen || source.custody == nil || source.custody == .owned
            #expect(!(sourceOwns && destination?.custody == .owned))
        }
        for step in 0..<200 {
            // From some point on nothing is lost and nobody gives up.
            let isCalm = step > 120
            if !isCalm, next(3) == 0 { continue }
            switch source.status {
            case .preparing:
                if !isCalm, next(12) == 0 { try source.abort() }
                guard source.state == .preparing else { break }
                if destination == nil { destination = .destination(epoch: 2) }
                if !isCalm, next(3) == 0 { break }
                // A destination that had forgotten says so, and the source rolls back.
                if destination?.state == .aborted { try source.abort() } else { try destination?.prepare() }
                if !isCalm, next(3) == 0 { break }
                if destination?.state == .prepared { try source.commit() }
            case .committed:
                try destination?.own()
                if isCalm || next(3) > 0 { try source.finish() }
            case .aborted: if isCalm || next(2) == 0 { try destination?.abort() }
            default: break
            }
            if !isCalm, destination?.state == .staging, next(10) == 0 { try destination?.abort() }
            check()
        }
        check()
        #expect(!source.isOpen)
        #expect(destination.map { !$0.isOpen } ?? true)
        #expect((source.state == .done) == (destination?.state == .owner))
    }

    @Test func `a person's word beats the other side's when both meet`() throws {
        var source = HandOverMachine.source(epoch: 2)
        var destination = HandOverMachine.destination(epoch: 2)
        try destination.prepare()
        try destination.take()
        #expect(destination.epoch == 3 && destination.custody == .owned)
        try source.supersede(by: destination.epoch)
        #expect(source.state == .orphaned)

        source = .source(epoch: 2)
        destination = .destination(epoch: 2)
        try destination.prepare()
        try source.commit()
        try destination.own()
        try source.take()
        try destination.supersede(by: source.epoch)
        #expect(source.custody == .owned && destination.custody == .orphaned)
    }
}
