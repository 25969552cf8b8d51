import API
import Base
import EventLoop
import Synchronization

/// What the server counts of itself. Requests are counted on the loop that answered them, without a lock; a scrape adds
/// the loops up.
final class Metrics: Sendable {
    /// What rises, and maybe falls, from any thread.
    enum Level: Int, CaseIterable {
        case eventStreams, workersConnected, tunnelsOpen, tunnelBytesIn, tunnelBytesOut
    }

    private final class Cell: Sendable {
        let value = Atomic<Int64>(0)
    }

    let loops: [EventLoop]
    private let meters: [RequestMeter]
    private let levels = Level.allCases.map { _ in Cell() }

    init(loops: [EventLoop], routes: Int = FrontDoor.matcher.places.count) {
        self.loops = loops
        meters = loops.map { _ in RequestMeter(routes: routes) }
    }

    func add(_ level: Level, _ change: Int64) {
        levels[level.rawValue].value.wrappingAdd(change, ordering: .relaxed)
    }

    func value(_ level: Level) -> Int64 { levels[level.rawValue].value.load(ordering: .relaxed) }

    /// `place` nil: no route was found.
    func answered(_ place: RoutePlace?, status: Int, took: Duration, on loop: EventLoop) {
        guard let index = loops.firstIndex(where: { $0 === loop }) else { return }
        let meter = meters[index]
        let route = place?.number ?? FrontDoor.matcher.places.count
        if loop.isCurrent { return meter.answered(route: route, status: status, took: took) }
        loop.post { meter.answered(route: route, status: status, took: took) }
    }

    /// Of all loops together.
    func requests() -> RequestMeter.Totals { RequestMeter.totals(of: meters) }
}

/// Requests of one loop by route and status, and how long they took.
///
/// Written on its loop only; see ``Counters``.
final class RequestMeter: Sendable {
    /// Every status that the server gives; others count as 0.
    static let statuses = [
        200, 201, 202, 204, 206, 101, 301, 302, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 416,
        417, 422, 426, 428, 429, 431, 499, 500, 501, 502, 503, 504, 507,
    ]
    /// Upper bounds of the classes of duration in microseconds; one more class is above them all.
    static let bounds: [Int64] = [
        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
        10_000_000,
    ]

    private let routes: Int
    private let byStatus: Counters
    private let byDuration: Counters
    private let nanoseconds: Counters

    /// One more than `routes` is kept, for requests that no route took.
    init(routes: Int) {
        self.routes = routes + 1
        byStatus = Counters((routes + 1) * (Self.statuses.count + 1))
        byDuration = Counters((routes + 1) * (Self.bounds.count + 1))
        nanoseconds = Counters(routes + 1)
    }

    func answered(route: Int, status: Int, took: Duration) {
        let place = Self.statuses.firstIndex(of: status) ?? Self.statuses.count
        byStatus.add(at: route * (Self.statuses.count + 1) + place)
        let elapsed = max(0, took.wholeNanoseconds)
        let kind = Self.bounds.firstIndex { elapsed <= $0 * 1000 } ?? Self.bounds.count
        byDuration.add(at: route * (Self.bounds.count + 1) + kind)
        nanoseconds.add(UInt64(elapsed), at: route)
    }

    struct Totals {
        struct Route {
            /// By status; only those that occurred.
            var statuses: [(status: Int, count: UInt64)] = []
            /// By class of duration, not cumulative.
            var durations: [UInt64] = []
            var nanoseconds: UInt64 = 0
        }

        var routes: [Route] = []
    }

    static func totals(of meters: [RequestMeter]) -> Totals {
        var totals = Totals()
        for route in 0..<(meters.first?.routes ?? 0) {
            func sum(_ counters: (RequestMeter) -> Counters, at index: Int) -> UInt64 {
                meters.reduce(0) { $0 &+ counters($1)[index] }
            }
            var one = Totals.Route()
            for (place, status) in (statuses + [0]).enumerated() {
                let count = sum(\.byStatus, at: route * (statuses.count + 1) + place)
                if count > 0 { one.statuses.append((status, count)) }
            }
            one.durations = (0...bounds.count).map { sum(\.byDuration, at: route * (bounds.count + 1) + $0) }
            one.nanoseconds = sum(\.nanoseconds, at: route)
            totals.routes.append(one)
        }
        return totals
    }
}
