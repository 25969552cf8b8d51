import API
import Base
import Domain
import EventLoop
import Executions
import Transport

@testable import Server

/// One viewer over all its connections: takes blocks or stalls, is cut off, and comes back where it was.
///
/// `@unchecked Sendable`: touched only on the loop.
final class ScriptedViewer: @unchecked Sendable {
    /// What came in over one connection.
    struct Connection {
        var choice: EventChoice
        var events: [ServerSentEvent] = []
        var hasEnded = false
    }

    let loop: EventLoop
    private(set) var connections: [Connection] = []
    private(set) var position = StreamPosition.start
    private var parser = EventStreamParser()
    private var sink: Sink?
    private var task: LoopTask?
    private(set) var failure: (any Error)?

    init(loop: EventLoop) { self.loop = loop }

    var isConnected: Bool { sink != nil }

    func connect(_ execution: ExecutionRecord, _ choice: EventChoice, _ followers: ExecutionFollowers) {
        connections.append(Connection(choice: choice))
        parser = EventStreamParser()
        let sink = Sink(self)
        self.sink = sink
        let position = position
        task = loop.spawn { [loop] in
            do {
                let seat = try followers.enter(execution.id, execution.organizationID, choice, loop: loop)
                var viewer = ExecutionViewer(seat, sink: sink, cursor: ExecutionCursor(choice, from: position))
                defer { viewer.leave() }
                try await viewer.run(follows: true)
                // What waits still goes out.
                sink.goOn()
                self.connections[self.connections.count - 1].hasEnded = true
            } catch {
                if !sink.isGone { self.failure = error }
            }
            if self.sink === sink { self.sink = nil }
        }
    }

    func stall() { sink?.isStalled = true }
    func goOn() { sink?.goOn() }

    /// Cuts the connection: what was not taken yet is lost.
    func cut() {
        sink?.cut()
        sink = nil
        task?.cancel()
    }

    func wait() async { await task?.wait() }

    fileprivate func received(_ bytes: ArraySlice<UInt8>) {
        do {
            for event in try parser.feed(Array(bytes)) {
                connections[connections.count - 1].events.append(event)
                if let id = event.id { position = try StreamPosition(id) }
            }
        } catch {
            failure = error
        }
    }
}

extension ScriptedViewer {
    /// `@unchecked Sendable`: touched only on the loop.
    final class Sink: EventSink, @unchecked Sendable {
        /// Little, so that a stalled viewer falls behind soon.
        private static let room = 300

        private unowned let viewer: ScriptedViewer
        var isStalled = false
        private(set) var isGone = false
        private var unsent: [UInt8] = []
        private var waiters: [Waiter<Void>] = []

        init(_ viewer: ScriptedViewer) { self.viewer = viewer }

        var hasRoom: Bool { !isGone && unsent.count <= Self.room }

        func offer(_ block: EventBlock) -> Bool {
            viewer.loop.preconditionCurrent()
            guard hasRoom else { return false }
            put(block)
            return true
        }

        func write(_ block: EventBlock) async throws {
            viewer.loop.preconditionCurrent()
            guard !isGone else { throw Socket.closedError }
            put(block)
            try await drained()
        }

        func drained() async throws {
            try await viewer.loop.suspend { (waiter: Waiter<Void>) in
                if self.isGone {
                    waiter.resume(throwing: Socket.closedError)
                } else if self.unsent.count <= Self.room {
                    waiter.resume()
                } else {
                    self.waiters.append(waiter)
                }
            }
        }

        private func put(_ block: EventBlock) {
            unsent += block.events
            if !isStalled { goOn() }
        }

        func goOn() {
            isStalled = false
            let bytes = unsent
            unsent = []
            viewer.received(bytes[...])
            for waiter in waiters { waiter.resume() }
            waiters = []
        }

        func cut() {
            isGone = true
            for waiter in waiters { waiter.resume(throwing: Socket.closedError) }
            waiters = []
        }
    }
}
