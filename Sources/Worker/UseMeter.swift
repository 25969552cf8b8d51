internal import Base
internal import Domain
internal import Relay
internal import Synchronization

/// When each kind of use was last seen in this environment; looked at with every heartbeat.
final class UseMeter: Sendable {
    private struct State {
        var seen: [UseKind: Uptime] = [:]
        var processor: (milliseconds: Int64, at: Uptime)?
        var traffic = LinkChannels.Traffic()
        var terminalBytes: Int64 = 0
    }

    /// Processes that take less than this share of one processor only keep themselves alive.
    private static let busyShare = 0.02
    /// The kernel counts in ticks of 10 ms: a shorter while says nothing.
    private static let shortestLook = Duration.seconds(5)

    private let state = Mutex(State())
    private let time: any TimeSource

    init(time: any TimeSource) { self.time = time }

    /// - Parameters:
    ///   - running: the agents of the attempts that have not ended.
    ///   - turns: of agent sessions that are under way.
    ///   - terminals: those that run, and the bytes of all there ever were.
    ///   - traffic: of the connections through the present link.
    ///   - processor: milliseconds that the environment's processes have used in all.
    func report(
        running: [AgentKind],
        turns: Int = 0,
        terminals: TerminalHouse.Use,
        traffic: LinkChannels.Traffic,
        processor: Int64
    ) -> ActivityReport {
        let now = time.uptime
        let commands = running.count { $0 == .command }
        let open: [UseKind: Int] = [
            .agentTurn: running.count - commands + turns, .execution: commands, .terminal: terminals.open,
            .connection: traffic.open,
        ]
        return state.withLock { state in
            for kind in UseKind.allCases where kind.holdsWhileOpen && (open[kind] ?? 0) > 0 { state.seen[kind] = now }
            // A new link counts from nothing.
            let hasMoved = traffic.opened != state.traffic.opened || traffic.bytes != state.traffic.bytes
            if hasMoved, traffic.opened > 0 { state.seen[.connection] = now }
            state.traffic = traffic
            if terminals.bytes != state.terminalBytes { state.seen[.terminal] = now }
            state.terminalBytes = terminals.bytes
            look(at: processor, now, &state)
            return ActivityReport(
                uses: UseKind.allCases.map { kind in
                    let quiet = state.seen[kind].map { (now - $0).wholeMilliseconds }
                    return ActivityReport.Use(kind, open: open[kind] ?? 0, quietMs: quiet)
                }
            )
        }
    }

    private func look(at processor: Int64, _ now: Uptime, _ state: inout State) {
        guard let last = state.processor else {
            state.processor = (processor, now)
            return
        }
        let span = max(now - last.at, Self.shortestLook)
        let used = processor - last.milliseconds
        if Double(used) >= Self.busyShare * Double(span.wholeMilliseconds) {
            state.seen[.process] = now
        } else if now - last.at < Self.shortestLook {
            return
        }
        state.processor = (processor, now)
    }
}
