public import Base
public import Database

/// Forgets which executions came of messages once nobody can mean them any more.
public struct RequestRetention: Sendable {
    private let database: any SQLDatabase
    /// After the execution's end.
    private let age: Duration

    private static let step = 1000

    public init(database: any SQLDatabase, age: Duration) {
        self.database = database
        self.age = age
    }

    public func trim(at now: Timestamp) async throws {
        let cutoff = now + (.zero - age)
        var count = Self.step
        while count == Self.step {
            count = try await database.write { try $0.run(BusStore.trimRequests, cutoff, Self.step) }
        }
    }
}
