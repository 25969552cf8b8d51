internal import Base

/// One caller at a time for each environment; the others wait their turn.
actor EnvironmentLanes {
    /// Who waits, for every environment that somebody is at.
    private var waiting: [EnvironmentID: [CheckedContinuation<Void, Never>]] = [:]

    func run<Result: Sendable>(
        _ environment: EnvironmentID,
        _ body: @Sendable () async throws -> Result
    ) async throws -> Result {
        await enter(environment)
        defer { leave(environment) }
        // What the others did may have taken long; who gave up meanwhile does nothing.
        try Task.checkCancellation()
        return try await body()
    }

    private func enter(_ environment: EnvironmentID) async {
        if waiting[environment] == nil {
            waiting[environment] = []
        } else {
            await withCheckedContinuation { waiting[environment, default: []].append($0) }
        }
    }

    private func leave(_ environment: EnvironmentID) {
        if waiting[environment]?.isEmpty == false {
            waiting[environment]?.removeFirst().resume()
        } else {
            waiting[environment] = nil
        }
    }
}
