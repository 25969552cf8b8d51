internal import Base

/// Which boot of its environment the worker serves. A machine that goes on from its memory is another one under the same
/// worker, so the number is asked for at each connection.
struct Incarnation: Sendable {
    private let first: Int64?
    private let file: String

    init(_ options: WorkerOptions) {
        first = options.instance
        file =
            options.tokenFile.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/instance"
    }

    var number: Int64? { Int64(EnvironmentLayout.contents(file).trimmed) ?? first }
}
