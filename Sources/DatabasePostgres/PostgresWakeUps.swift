import Base
import CPostgres
import Database
import Glibc
import Synchronization

/// LISTEN and NOTIFY on a connection and a thread of their own, started with the first use.
/// NOTIFY goes outside of the transactions that it tells of: in them it would make all commits of the database queue.
final class PostgresWakeUps: WakeUps {
    private struct Subject: Hashable {
        let topic: String
        let subject: String
    }

    private struct Ear: Sendable {
        let hear: @Sendable (WakeUp?) -> Void
    }

    private struct State {
        var waiting: [WakeUp] = []
        var places: [Subject: Int] = [:]
        var ears: [String: [Ear]] = [:]
        var isRunning = false
        var isClosed = false
    }

    /// Between two sendings; what comes meanwhile goes together.
    private static let interval = Duration.milliseconds(2)
    private let configuration: PostgresConfiguration
    private let time: any TimeSource
    private let state = Mutex(State())
    /// Written to make the thread look.
    private let bell: EventDescriptor

    init(_ configuration: PostgresConfiguration, time: any TimeSource) throws {
        self.configuration = configuration
        self.time = time
        bell = try EventDescriptor()
    }

    func send(_ wakeUp: WakeUp) {
        let isFirst = state.withLock { state in
            let subject = Subject(topic: wakeUp.topic, subject: wakeUp.subject)
            if let place = state.places[subject] {
                state.waiting[place] = wakeUp
                return false
            }
            state.places[subject] = state.waiting.count
            state.waiting.append(wakeUp)
            return state.waiting.count == 1
        }
        if isFirst { bell.ring() }
        start()
    }

    func listen(_ topic: String, _ hear: @escaping @Sendable (WakeUp?) -> Void) {
        state.withLock { $0.ears[topic, default: []].append(Ear(hear: hear)) }
        start()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        bell.ring()
    }

    private func start() {
        let isNeeded = state.withLock { state in
            defer { state.isRunning = true }
            return !state.isRunning && !state.isClosed
        }
        guard isNeeded else { return }
        do {
            try startThread { [self] in run() }
        } catch {
            // Without it everybody looks by themselves; the next use tries again.
            state.withLock { $0.isRunning = false }
        }
    }

    private func run() {
        let link = PostgresLink(configuration, .listener, time: time)
        while !state.withLock(\.isClosed) {
            do {
                let handle = try link.open()
                _ = try handle.exchange([PostgresCommand(sql: "LISTEN berth")])
                tell(nil)
                try work(on: handle)
            } catch {
                link.drop()
                bell.wait(and: nil, .milliseconds(100))
            }
        }
    }

    private func work(on handle: PostgresHandle) throws {
        while !state.withLock(\.isClosed) {
            let wakeUps = take()
            if !wakeUps.isEmpty {
                _ = try handle.exchange(
                    wakeUps.map { wakeUp in
                        let text = "\(wakeUp.topic) \(wakeUp.subject) \(wakeUp.payload)"
                        return PostgresCommand(sql: Self.notify, values: [.text(String(text.prefix(4000)))])
                    }
                )
            }
            try hear(handle)
            if wakeUps.isEmpty {
                bell.wait(and: PQsocket(handle.pointer), .seconds(30))
            } else {
                pause(Self.interval)
            }
            guard PQconsumeInput(handle.pointer) == 1 else { throw handle.lost() }
            try hear(handle)
        }
    }

    private func take() -> [WakeUp] {
        state.withLock { state in
            defer {
                state.waiting = []
                state.places = [:]
            }
            return state.waiting
        }
    }

    private func hear(_ handle: PostgresHandle) throws {
        while let notice = PQnotifies(handle.pointer) {
            defer { PQfreemem(notice) }
            guard notice.pointee.be_pid != handle.processID else { continue }
            let words = String(cString: notice.pointee.extra)
                .split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard words.count == 3 else { continue }
            tell(WakeUp(words[0], words[1], words[2]))
        }
    }

    /// nil goes to everybody.
    private func tell(_ wakeUp: WakeUp?) {
        let ears = state.withLock { state in
            wakeUp.map { state.ears[$0.topic] ?? [] } ?? state.ears.values.flatMap { $0 }
        }
        for ear in ears { ear.hear(wakeUp) }
    }

    private static let notify: SQL = "SELECT pg_notify('berth', $1)"
}
